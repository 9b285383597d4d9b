import BatonRuntime
import Foundation
import KVCore
import Logging
import ServiceLifecycle
import Subprocess
import SystemPackage

/// Keeps processes of a fleet running until it is told to stop.
struct FleetSupervisor: Service {
  /// How long a process that was told to stop may take before it is killed.
  static let killTime = Duration.seconds(5)

  let processes: [FleetPlan.Process]
  let output: FleetOutput
  let logger: Logger

  /// Returns when all processes have ended after a graceful shutdown.
  ///
  /// Throws `BatonError`: `invalidArgument` when a process says that its configuration is wrong,
  /// `unavailable` when it cannot be got to start.
  func run() async throws {
    // The first process that is given up stops the others.
    try await withThrowingDiscardingTaskGroup { group in
      for process in processes {
        group.addTask { try await keepRunning(process) }
      }
    }
  }

  private func keepRunning(_ process: FleetPlan.Process) async throws {
    var policy = RestartPolicy()
    while !isStopping {
      let start = ContinuousClock.now
      let ending: RestartPolicy.Ending
      let reason: String
      do {
        (ending, reason) = try await runOnce(process)
      } catch {
        // The system may be short of processes or memory for a while.
        (ending, reason) = (.exited(code: ExitStatus.failure.rawValue), "\(error)")
      }
      if isStopping { return }
      switch policy.decide(ending, after: ContinuousClock.now - start) {
      case .restart(let delay):
        var metadata: Logger.Metadata = [
          "process": "\(process.name)", "ending": "\(ending)", "delay": "\(delay)",
        ]
        // What a process wrote last says nothing of why it was killed, or told to stop.
        if case .exited(let code) = ending, code != 0 { metadata["reason"] = "\(reason)" }
        logger.error("process ended and is started again", metadata: metadata)
        do {
          try await cancelWhenGracefulShutdown { try await Task.sleep(for: delay) }
        } catch {
          return
        }
      case .giveUp:
        throw BatonError(
          .unavailable,
          "\(process.name) does not start: \(ending), "
            + "\(RestartPolicy.maximumFailuresAtStart) times; the last was: \(reason)")
      case .giveUpConfiguration:
        throw BatonError(.invalidArgument, "\(process.name): \(reason)")
      }
    }
  }

  private var isStopping: Bool { Task.isCancelled || Task.isShuttingDownGracefully }

  /// Starts a process, passes its lines on, and returns how it ended and why, by its notice or else
  /// by its last line.
  private func runOnce(
    _ process: FleetPlan.Process
  ) async throws -> (ending: RestartPolicy.Ending, reason: String) {
    var options = PlatformOptions()
    // A group of its own: Ctrl-C in a terminal goes to a whole group, and stopping is our part.
    options.processGroupID = 0
    let teardown = [TeardownStep.gracefulShutDown(allowedDurationToNextStep: Self.killTime)]
    options.teardownSequence = teardown
    let result = try await Subprocess.run(
      .path("/proc/self/exe"),
      arguments: Arguments(
        executablePathOverride: "baton", remainingValues: process.arguments),
      environment: Self.environment, platformOptions: options,
      input: .inputWriter, output: .sequence, error: .sequence
    ) { execution in
      // Standard input stays open and unwritten for as long as this process lives.
      // Cancelling this task instead would end its standard input, and the process with it at once.
      async let _: Void = atGracefulShutdown { await execution.teardown(using: teardown) }
      async let lastLine = passOn(execution.standardError, of: process)
      var reason: String?
      for try await line in execution.standardOutput.strings(bufferingPolicy: .unbounded) {
        let line = line.trimmingCharacters(in: .newlines)
        switch Supervision.Notice(line: line) {
        case .serving(let url, let model): output.announce(url: url, model: model)
        case .misconfigured(let why): reason = why
        case nil: output.log(line, from: process.name)
        }
      }
      let last = try await lastLine
      return reason ?? last
    }
    let ending: RestartPolicy.Ending =
      switch result.terminationStatus {
      case .exited(let code): .exited(code: code)
      case .signaled(let signal): .signalled(signal)
      }
    return (ending, result.closureResult)
  }

  /// Calls `action` when a graceful shutdown begins; not when the task is cancelled before.
  private func atGracefulShutdown(_ action: @Sendable () async -> Void) async {
    do {
      try await gracefulShutdown()
    } catch {
      return
    }
    await action()
  }

  /// Logs the lines of a process; returns the last one.
  private func passOn(
    _ stream: SubprocessOutputSequence, of process: FleetPlan.Process
  ) async throws -> String {
    var last = ""
    for try await line in stream.strings(bufferingPolicy: .unbounded) {
      last = line.trimmingCharacters(in: .newlines)
      output.log(last, from: process.name)
    }
    return last
  }

  /// Everything that processes are told is in their arguments; settings of ours that they would
  /// inherit are taken away.
  private static var environment: Subprocess.Environment {
    var changes: [Subprocess.Environment.Key: String?] = [:]
    for setting in Settings.all {
      if let key = Subprocess.Environment.Key(rawValue: setting.environmentVariable) {
        changes[key] = .some(nil)
      }
    }
    if let key = Subprocess.Environment.Key(rawValue: Supervision.environmentVariable) {
      changes[key] = "1"
    }
    return .inherit.updating(changes)
  }
}
