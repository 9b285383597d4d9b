import BatonRuntime
import Foundation
import Logging

/// What `baton up` prints: one stream of log lines on standard error, each with the name of the
/// process that wrote it, and on standard output what is for people to do next.
struct FleetOutput: Sendable {
  /// The name of `baton up` itself.
  static let ownName = "up"

  private let width: Int

  init(names: [String]) { width = names.map(\.count).max() ?? 0 }

  /// One line of the process `name`, without its line feed.
  func log(_ line: String, from name: String) {
    let padding = String(repeating: " ", count: width - name.count)
    // A line that cannot be written has no better place to be reported.
    try? FileHandle.standardError.write(contentsOf: Data("\(name)\(padding) | \(line)\n".utf8))
  }

  func makeLogger(level: Logger.Level) -> Logger {
    Logger(label: Self.ownName) { _ in
      LineLogHandler(component: nil, level: level) { line in
        log(String(line.dropLast()), from: Self.ownName)
      }
    }
  }

  /// Tells whoever started the fleet what to try.
  func announce(url: String, model: String) {
    let body =
      "{\"model\": \"\(model)\", \"prompt\": \"Once upon a time\", \"max_tokens\": 100, "
      + "\"stream\": true}"
    let line =
      "ready: curl -N \(url)/v1/completions -H 'Content-Type: application/json' -d '\(body)'\n"
    // Nobody reads standard output if it cannot be written.
    try? FileHandle.standardOutput.write(contentsOf: Data(line.utf8))
  }
}
