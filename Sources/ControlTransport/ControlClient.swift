internal import ControlProtocol
internal import KVCore
package import Logging
package import NIOCore
internal import NIOPosix

/// Opens control connections.
package enum ControlClient {
  /// Connects and goes through the handshake.
  ///
  /// `handler` answers what the peer asks on this connection. `timeout` bounds connecting and the
  /// handshake, each for itself. Throws `unavailable` when nobody answers at the address,
  /// `incompatible`, `deadlineExceeded` or `peerGone` when the handshake fails, and
  /// `CancellationError` when the calling task is cancelled.
  package static func connect(
    to address: ControlAddress, identity: LocalIdentity,
    handler: any ControlHandler = RefusingHandler(), group: any EventLoopGroup, logger: Logger,
    timeout: Duration = .milliseconds(TransportLimits.connectMilliseconds)
  ) async throws -> ControlConnection {
    try Task.checkCancellation()
    let eventLoop = group.any()
    let opened = eventLoop.makePromise(of: ControlConnection.self)
    let bootstrap = ClientBootstrap(group: eventLoop)
      .connectTimeout(TimeAmount(timeout))
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(
            FrameHandler(
              side: .initiator, identity: identity, isLocal: address.isLocal, handler: handler,
              logger: logger,
              opened: opened, handshakeTimeout: timeout))
        }
      }
    let channel: any Channel
    do {
      switch address {
      case .tcp(let host, let port):
        channel = try await bootstrap.channelOption(.tcpOption(.tcp_nodelay), value: 1)
          .channelOption(.tcpOption(.notSentLowWater), value: TransportLimits.unsentBytes)
          .connect(host: host, port: port).get()
      case .unix(let path):
        channel = try await bootstrap.connect(
          to: ControlAddress.unixSocketAddress(path: path)
        ).get()
      }
    } catch {
      let failure = BatonError(
        .unavailable, "cannot connect to \(address): \(SystemReason.text(of: error))")
      opened.fail(failure)
      throw failure
    }
    return try await withTaskCancellationHandler {
      do {
        return try await opened.futureResult.get()
      } catch {
        // Cancellation closes the channel, which looks like a peer that hangs up.
        try Task.checkCancellation()
        throw error
      }
    } onCancel: {
      channel.close(promise: nil)
    }
  }
}
