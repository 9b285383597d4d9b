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

  /// What a process holds of the system.
  struct Holdings: Equatable, CustomStringConvertible {
    var descriptors: Int
    /// All pieces of its address space.
    var mappings: Int
    /// Those of them that are shared memory without a name, such as pools.
    var memories: Int
    var residentMebibytes: Int

    var description: String {
      "\(descriptors) descriptors, \(mappings) mappings, \(memories) of them pools, "
        + "\(residentMebibytes) MiB resident"
    }
  }

  static func holdings(of process: Int32) throws -> Holdings {
    let maps = try lines(of: "/proc/\(process)/maps")
    let resident = try lines(of: "/proc/\(process)/status").first { $0.hasPrefix("VmRSS:") }
    let kibibytes = resident?.split(separator: " ").compactMap { Int($0) }.first ?? 0
    return Holdings(
      descriptors: try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").count,
      mappings: maps.count, memories: maps.filter { $0.contains("/memfd:") }.count,
      residentMebibytes: kibibytes >> 10)
  }

  /// Of a file that has no length and comes in pieces, as those of proc(5) do.
  private static func lines(of path: String) throws -> [Substring] {
    let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
    return String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self).split(separator: "\n")
  }
}
