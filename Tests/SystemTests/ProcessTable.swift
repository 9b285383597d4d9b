import Foundation

/// What proc(5) tells of processes.
enum ProcessTable {
  /// Nil when there is no such process.
  static func parent(of process: Int32) -> Int32? {
    guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
      let end = text.lastIndex(of: ")")
    else { return nil }
    // After the name come the state and the parent.
    let fields = text[text.index(after: end)...].split(separator: " ")
    return fields.dropFirst().first.flatMap { Int32($0) }
  }

  static func arguments(of process: Int32) -> [String]? {
    guard let data = FileManager.default.contents(atPath: "/proc/\(process)/cmdline") else {
      return nil
    }
    return data.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Whether the process is there and not only waits to be reaped.
  static func isRunning(_ process: Int32) -> Bool {
    state(of: process).map { $0 != "Z" } ?? false
  }

  /// The letter of proc(5): `T` is stopped. Nil when there is no such process.
  static func state(of process: Int32) -> Substring? {
    guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
      let end = text.lastIndex(of: ")")
    else { return nil }
    return text[text.index(after: end)...].split(separator: " ").first
  }
}
