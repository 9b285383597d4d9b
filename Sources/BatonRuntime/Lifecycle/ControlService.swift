package import ControlTransport
package import Logging
package import NIOCore
import ServiceLifecycle

/// Serves control addresses until graceful shutdown.
package struct ControlService: Service {
  private let addresses: [ControlAddress]
  private let identity: LocalIdentity
  private let handler: any ControlHandler
  private let group: any EventLoopGroup
  private let logger: Logger

  /// What these are, `ControlServer.start` says.
  package init(
    addresses: [ControlAddress], identity: LocalIdentity, handler: any ControlHandler,
    group: any EventLoopGroup, logger: Logger
  ) {
    self.addresses = addresses
    self.identity = identity
    self.handler = handler
    self.group = group
    self.logger = logger
  }

  /// Throws as `ControlServer.start` does.
  package func run() async throws {
    let server = try await ControlServer.start(
      addresses: addresses, identity: identity, handler: handler, group: group, logger: logger)
    logger.info(
      "serving",
      metadata: [
        "engine": "\(identity.engine)", "role": "\(identity.role)",
        "addresses": "\(server.boundAddresses.map(\.description).joined(separator: " "))",
      ])
    // Throws only when the task is cancelled, which ends the serving as well.
    try? await gracefulShutdown()
    await server.shutdown()
  }
}
