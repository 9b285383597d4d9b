import NIOCore
import NIOPosix

/// A bare echo on the event loop: what a round trip costs without a protocol.
enum EchoChannel {
  /// Sends back whatever comes.
  final class Server: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      context.write(data, promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) { context.flush() }
  }

  /// Sends messages of one size, a fixed number of them on their way at once, and completes when
  /// all have come back.
  final class Client: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let message: ByteBuffer
    private let inFlight: Int
    private var unsent: Int
    private var uncounted = 0
    private var missing: Int
    private let done: EventLoopPromise<Void>

    init(messageBytes: Int, count: Int, inFlight: Int, done: EventLoopPromise<Void>) {
      message = ByteBuffer(repeating: 7, count: messageBytes)
      self.inFlight = inFlight
      self.done = done
      unsent = count
      missing = count
    }

    func channelActive(context: ChannelHandlerContext) { send(min(inFlight, unsent), context) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      uncounted += unwrapInboundIn(data).readableBytes
      let whole = uncounted / message.readableBytes
      uncounted %= message.readableBytes
      missing -= whole
      if missing == 0 { done.succeed() }
      send(min(whole, unsent), context)
    }

    func channelInactive(context: ChannelHandlerContext) { done.fail(ChannelError.eof) }

    private func send(_ count: Int, _ context: ChannelHandlerContext) {
      unsent -= count
      for _ in 0..<count { context.write(wrapOutboundOut(message), promise: nil) }
      context.flush()
    }
  }

  static func serve(
    at address: SocketAddress, group: any EventLoopGroup
  ) async throws -> any Channel {
    let isTCP = address.port != nil
    return try await ServerBootstrap(group: group)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Server())
          if isTCP {
            try channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
          }
        }
      }
      .bind(to: address).get()
  }

  /// Returns how long `count` round trips took.
  static func measure(
    _ address: SocketAddress, messageBytes: Int, count: Int, inFlight: Int,
    group: any EventLoopGroup
  ) async throws -> Duration {
    let eventLoop = group.any()
    let done = eventLoop.makePromise(of: Void.self)
    let start = ContinuousClock.now
    let channel = try await ClientBootstrap(group: eventLoop)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(
            Client(messageBytes: messageBytes, count: count, inFlight: inFlight, done: done))
        }
      }
      .connect(to: address).get()
    try await done.futureResult.get()
    let time = ContinuousClock.now - start
    try await channel.close()
    return time
  }
}
