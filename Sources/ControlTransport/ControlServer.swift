internal import ControlProtocol
internal import Foundation
internal import KVCore
package import Logging
package import NIOCore
internal import NIOPosix
internal import Synchronization

/// The control ports of one process.
package final class ControlServer: Sendable {
  /// Where the server is reached, with the port that the system chose where 0 was asked for.
  package let boundAddresses: [ControlAddress]
  /// The identity with `info.addresses` filled in: what this process's clients should use too.
  package let identity: LocalIdentity

  private let listeners: [any Channel]
  private let connections: ConnectionRegistry

  private init(
    boundAddresses: [ControlAddress], identity: LocalIdentity, listeners: [any Channel],
    connections: ConnectionRegistry
  ) {
    self.boundAddresses = boundAddresses
    self.identity = identity
    self.listeners = listeners
    self.connections = connections
  }

  /// Binds all addresses and serves them.
  ///
  /// `handshakeTimeout` is how long an accepted connection may take to say who it is.
  /// Throws `invalidArgument` for a TCP address that other machines reach unless the identity has
  /// cluster keys, and `unavailable` for one that cannot be bound, a socket path that a living
  /// process serves among them. A path whose server has died is replaced. Nothing stays bound when
  /// it throws.
  package static func start(
    addresses: [ControlAddress], identity: LocalIdentity, handler: any ControlHandler,
    group: any EventLoopGroup, logger: Logger,
    handshakeTimeout: Duration = .milliseconds(TransportLimits.handshakeMilliseconds)
  ) async throws -> ControlServer {
    let registry = ConnectionRegistry(identity: identity)
    var listeners: [any Channel] = []
    var bound: [ControlAddress] = []
    do {
      for address in addresses {
        try address.requireLocal(unless: identity.options.keys)
        try await removeStaleSocket(of: address, group: group)
        let listener = try await bind(
          address, handler: handler, registry: registry, group: group, logger: logger,
          handshakeTimeout: handshakeTimeout)
        listeners.append(listener)
        if case .tcp(let host, _) = address, let port = listener.localAddress?.port {
          bound.append(.tcp(host: host, port: port))
        } else {
          bound.append(address)
        }
      }
      let identity = registry.open(addresses: bound.map(\.description))
      for listener in listeners { try await listener.setOption(.autoRead, value: true).get() }
      return ControlServer(
        boundAddresses: bound, identity: identity, listeners: listeners, connections: registry)
    } catch {
      for listener in listeners { try? await listener.close() }
      throw error
    }
  }

  /// Stops listening, closes all connections and removes the socket paths.
  package func shutdown() async {
    // Closing a listener removes its socket path as well.
    for listener in listeners { try? await listener.close() }
    for channel in connections.closeAll() { try? await channel.closeFuture.get() }
  }

  private static func bind(
    _ address: ControlAddress, handler: any ControlHandler, registry: ConnectionRegistry,
    group: any EventLoopGroup, logger: Logger, handshakeTimeout: Duration
  ) async throws -> any Channel {
    var bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: TransportLimits.listenBacklog)
      // Nobody is accepted before all addresses are known: they are part of the handshake.
      .serverChannelOption(.autoRead, value: false)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let opened = channel.eventLoop.makePromise(of: ControlConnection.self)
          let refusal = registry.admit(channel, opened.futureResult)
          opened.futureResult.whenFailure { error in
            logger.warning("connection refused", metadata: ["error": "\(error)"])
          }
          try channel.pipeline.syncOperations.addHandler(
            FrameHandler(
              side: .acceptor, identity: registry.identity,
              isLocal: ControlAddress.isLocal(channel.remoteAddress), handler: handler,
              logger: logger,
              opened: opened, handshakeTimeout: handshakeTimeout, refusal: refusal))
        }
      }
    do {
      switch address {
      case .tcp(let host, let port):
        bootstrap =
          bootstrap
          .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
          .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
          .childChannelOption(.tcpOption(.notSentLowWater), value: TransportLimits.unsentBytes)
        return try await bootstrap.bind(host: host, port: port).get()
      case .unix(let path):
        return try await bootstrap.bind(to: ControlAddress.unixSocketAddress(path: path)).get()
      }
    } catch {
      throw BatonError(
        .unavailable, "cannot serve \(address): \(SystemReason.text(of: error))")
    }
  }

  /// Removes the socket of a server that has died; one that is alive, or a file of another kind,
  /// stays and makes binding fail.
  private static func removeStaleSocket(
    of address: ControlAddress, group: any EventLoopGroup
  ) async throws {
    guard let path = address.filePath,
      let attributes = try? FileManager.default.attributesOfItem(atPath: path),
      attributes[.type] as? FileAttributeType == .typeSocket
    else { return }
    do {
      let channel = try await ClientBootstrap(group: group)
        .connect(unixDomainSocketPath: path).get()
      try? await channel.close()
    } catch let error as IOError where error.errnoCode == ECONNREFUSED {
      // connect(2): a socket file that nobody listens on.
      try FileManager.default.removeItem(atPath: path)
      return
    } catch {
      throw BatonError(.unavailable, "cannot serve \(address): \(error)")
    }
    throw BatonError(.unavailable, "cannot serve \(address): another process is serving it")
  }
}
