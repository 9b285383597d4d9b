import Foundation
package import Logging

/// The logging of a Baton process.
package enum BatonLogging {
  /// Sends everything that the process logs, libraries included, to standard error.
  ///
  /// To be called once, before the first logger is made.
  ///
  /// - Returns: the logger of the process itself.
  package static func bootstrap(component: String, level: Logger.Level) -> Logger {
    let shown = Supervision.isSupervised ? nil : component
    LoggingSystem.bootstrap { _ in
      LineLogHandler(component: shown, level: level) { line in
        // A line that cannot be written has no better place to be reported.
        try? FileHandle.standardError.write(contentsOf: Data(line.utf8))
      }
    }
    return Logger(label: component)
  }
}
