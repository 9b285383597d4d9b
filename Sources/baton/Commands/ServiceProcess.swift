import ArgumentParser
import BatonRuntime
import Foundation
import KVCore
import Logging
import NIOCore
import ServiceLifecycle

/// What all processes but `baton up` do around their services.
enum ServiceProcess {
  /// Runs the services that `make` returns until a signal ends them.
  ///
  /// Throws `ExitCode` for what fails, after saying why: to the supervisor what it must tell the
  /// user, else in the log.
  static func run(
    component: EngineID, level: Logger.Level,
    make: (Logger) async throws -> [any Service]
  ) async throws {
    Supervision.exitWithSupervisor()
    // Started by `baton up` from /proc/self/exe, the process would show as "exe" (proc(5), comm).
    try? FileHandle(forWritingAtPath: "/proc/self/comm")?.write(contentsOf: Data("baton".utf8))
    // The loop only moves messages; what computes or blocks has threads of its own.
    NIOSingletons.groupLoopCountSuggestion = 1
    let logger = BatonLogging.bootstrap(component: component.name, level: level)
    do {
      try await ServiceRunner.run(make(logger), logger: logger)
    } catch {
      let error = BatonError(wrapping: error)
      let status = ExitStatus(endedBy: error)
      if status == .configuration, Supervision.isSupervised {
        try Supervision.notify(.misconfigured(reason: error.message))
      } else {
        logger.critical("stopped", metadata: ["cause": "\(error.message)"])
      }
      throw ExitCode(status.rawValue)
    }
  }
}
