import BatonRuntime
package import ControlTransport
import NIOPosix

extension EngineHost {
  /// Serves the control addresses with a handler until graceful shutdown.
  package func serve(handler: any ControlHandler) async throws {
    try await ControlService(
      addresses: addresses, identity: identity(addresses: configuration.advertise),
      handler: handler, group: MultiThreadedEventLoopGroup.singleton, logger: logger
    ).run()
  }
}
