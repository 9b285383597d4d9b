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
  private let beforeStopping: @Sendable () async -> Void

  /// What most of these are, `ControlServer.start` says.
  ///
  /// - Parameter beforeStopping: called when the shutdown begins, with all connections open still.
  package init(
    addresses: [ControlAddress], identity: LocalIdentity, handler: any ControlHandler,
    group: any EventLoopGroup, logger: Logger,
    beforeStopping: @escaping @Sendable () async -> Void = {}
  ) {
    self.addresses = addresses
    self.identity = identity
    self.handler = handler
    self.group = group
    self.logger = logger
    self.beforeStopping = beforeStopping
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
    // Throws only when the task is cancelled, which ends the serving as well, and at once.
    if (try? await gracefulShutdown()) != nil { await beforeStopping() }
    await server.shutdown()
  }
}
