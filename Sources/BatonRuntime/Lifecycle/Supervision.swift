import Foundation

/// The agreement between `baton up` and the processes that it starts.
///
/// A supervised process has `BATON_SUPERVISED=1` in its environment, a pipe on standard input that
/// ends with its supervisor, and writes to standard output nothing but notices.
package enum Supervision {
  package static let environmentVariable = "BATON_SUPERVISED"

  package static let isSupervised = isSupervised(
    environment: ProcessInfo.processInfo.environment)

  package static func isSupervised(environment: [String: String]) -> Bool {
    environment[environmentVariable] == "1"
  }

  /// What a process tells its supervisor, one line each.
  package enum Notice: Hashable, Sendable {
    /// Clients are served at this URL with this model.
    case serving(url: String, model: String)
    /// The process ends because it cannot be run as it is configured; a sentence says why.
    case misconfigured(reason: String)

    private static let servingWord = "serving"
    private static let misconfiguredWord = "misconfigured"

    /// Nil for a line that is no notice.
    package init?(line: String) {
      let words = line.split(separator: " ", maxSplits: 2).map(String.init)
      guard words.count == 3 else { return nil }
      switch words[0] {
      case Self.servingWord: self = .serving(url: words[1], model: words[2])
      case Self.misconfiguredWord: self = .misconfigured(reason: words[1] + " " + words[2])
      default: return nil
      }
    }

    package var line: String {
      switch self {
      case .serving(let url, let model): "\(Self.servingWord) \(url) \(model)"
      case .misconfigured(let reason): "\(Self.misconfiguredWord) \(reason)"
      }
    }
  }

  /// Tells the supervisor, where there is one.
  package static func notify(_ notice: Notice) throws {
    guard isSupervised else { return }
    try FileHandle.standardOutput.write(contentsOf: Data((notice.line + "\n").utf8))
  }

  /// Ends this process as soon as its supervisor has ended, even by `kill -9`.
  ///
  /// The thread that waits for the end of standard input blocks in read(2) and does nothing else.
  package static func exitWithSupervisor() {
    guard isSupervised else { return }
    Thread.detachNewThread {
      _ = try? FileHandle.standardInput.readToEnd()
      exit(EXIT_FAILURE)
    }
  }
}
