import ArgumentParser
import BatonRuntime
import ControlProtocol
import ControlTransport
import Foundation
import KVCore
import Logging
import NIOPosix
import Platform

/// How commands that ask and are not asked present themselves.
enum ClientIdentity {
  static func make(settings: SettingsResolver) throws(BatonError) -> LocalIdentity {
    LocalIdentity(
      engine: .ofThisProcess(role: .client), incarnation: .random(), role: .client,
      info: PeerInfo(
        model: nil, bootID: Node.bootID(),
        processID: UInt32(ProcessInfo.processInfo.processIdentifier), addresses: [], ranks: 1),
      options: try ControlConfiguration(settings: settings).options())
  }

  /// Connects to the first address where somebody answers; throws the last one's error.
  static func connect(
    to addresses: [ControlAddress], as identity: LocalIdentity
  ) async throws -> ControlConnection {
    var failure = BatonError(
      .invalidArgument, "no address is given; see \(Settings.controlAddress.flag)")
    for address in addresses {
      do {
        return try await ControlClient.connect(
          to: address, identity: identity, group: MultiThreadedEventLoopGroup.singleton,
          logger: Logger(label: "baton") { _ in SwiftLogNoOpLogHandler() })
      } catch {
        failure = BatonError(wrapping: error)
      }
    }
    throw failure
  }

  /// Says on standard error what `body` throws, and ends the process with its exit status.
  static func reportingErrors(_ body: () async throws -> Void) async throws {
    do {
      try await body()
    } catch let error as ExitCode {
      throw error
    } catch {
      throw CommandFailure.exit(
        because: error, status: ExitStatus(endedBy: BatonError(wrapping: error)))
    }
  }
}
