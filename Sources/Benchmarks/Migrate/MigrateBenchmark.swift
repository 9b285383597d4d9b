import Foundation
import KVCore
import Platform
import Subprocess
import SystemPackage

/// Hands the KV of one sequence over between two processes, again and again, beside plain copies.
package enum MigrateBenchmark {
  /// Starts this executable as `baton bench pool-owner`, which ends with this process or before.
  ///
  /// Throws `BatonError`: `resourceExhausted` for pools that the machine cannot hold,
  /// `internalError` if other bytes arrive than were written, and as a hand-over does.
  package static func run(_ options: MigrateOptions) async throws -> MigrateResult {
    try options.requireMemory(available: SystemMemory.availableBytes())
    if options.pages == .base { try SystemMemory.useBasePagesOnly() }
    let end = try PoolReader.LinkEnd(options)
    let request = try end.request(options)
    let line = String(decoding: try JSONEncoder().encode(request), as: UTF8.self) + "\n"
    let ended = try await Subprocess.run(
      .path("/proc/self/exe"),
      arguments: Arguments(
        executablePathOverride: "baton", remainingValues: ["bench", PoolOwner.commandName]),
      input: .inputWriter, output: .sequence,
      error: .fileDescriptor(.standardError, closeAfterSpawningProcess: false)
    ) { execution in
      // Standard input stays open until the measurement is done: its end ends the owner.
      _ = try await execution.standardInputWriter.write(line)
      let answer = try await answer(in: execution.standardOutput)
      let reader = try await PoolReader(end, request: request, answer: answer)
      let result = try await PlatformThread.run(name: "baton-bench") { try reader.measure() }
      try await execution.standardInputWriter.finish()
      return result
    }
    return ended.closureResult
  }

  private static func answer(in output: SubprocessOutputSequence) async throws -> PoolAnswer {
    for try await line in output.strings(bufferingPolicy: .unbounded) {
      switch try JSONDecoder().decode(PoolOwnerLine.self, from: Data(line.utf8)) {
      case .ready(let answer): return answer
      case .failed(let code, let message):
        throw BatonError(ErrorCode(rawValue: code) ?? .internalError, message)
      }
    }
    throw BatonError(.peerGone, "the process that owns the pool ended before it had one")
  }
}
