import BatonRuntime
package import ControlTransport
import NIOPosix

extension EngineHost {
  /// Serves the control addresses with a handler until graceful shutdown.
  ///
  /// - Parameter beforeStopping: called when the shutdown begins, with all connections open still.
  package func serve(
    handler: any ControlHandler, beforeStopping: @escaping @Sendable () async -> Void = {}
  ) async throws {
    try await ControlService(
      addresses: addresses, identity: identity(addresses: configuration.advertise),
      handler: handler, group: MultiThreadedEventLoopGroup.singleton, logger: logger,
      beforeStopping: beforeStopping
    ).run()
  }
}
