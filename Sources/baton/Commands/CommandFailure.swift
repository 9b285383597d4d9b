package import ArgumentParser
package import BatonRuntime
import Foundation
import KVCore

/// How a command that serves nothing ends when it fails.
package enum CommandFailure {
  /// Says why on standard error.
  ///
  /// - Returns: what the command is to throw.
  package static func exit(because error: any Error, status: ExitStatus) -> ExitCode {
    let text = "Error: \(BatonError(wrapping: error).message)\n"
    // What cannot be written to standard error has no better place to be reported.
    try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
    return ExitCode(status.rawValue)
  }
}
