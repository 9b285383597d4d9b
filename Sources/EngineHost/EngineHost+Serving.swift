import BatonRuntime
import ControlProtocol
package import ControlTransport
import KVCore
import Logging
import NIOPosix
import ServiceLifecycle

extension EngineHost {
  /// Serves the control addresses with a handler until graceful shutdown.
  package func serve(handler: any ControlHandler) async throws {
    let server = try await ControlServer.start(
      addresses: addresses,
      identity: identity(addresses: configuration.advertise), handler: handler,
      group: MultiThreadedEventLoopGroup.singleton,
      logger: logger)
    logger.info(
      "serving",
      metadata: [
        "engine": "\(id)", "role": "\(configuration.role)",
        "addresses": "\(server.boundAddresses.map(\.description).joined(separator: " "))",
      ])
    // Throws only when the task is cancelled, which ends the serving as well.
    try? await gracefulShutdown()
    await server.shutdown()
  }
}
