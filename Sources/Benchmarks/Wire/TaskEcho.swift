import NIOCore
import NIOPosix

/// An echo that tasks ask for and wait for, as they do for answers: what a round trip costs with
/// the ways between a task and the event loop, and without a protocol.
struct TaskEcho: Sendable {
  private final class Handler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let messageBytes: Int
    private var uncounted = 0
    private var waiting = CircularBuffer<EventLoopPromise<Void>>()

    init(messageBytes: Int) { self.messageBytes = messageBytes }

    func wait(_ promise: EventLoopPromise<Void>) { waiting.append(promise) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      uncounted += unwrapInboundIn(data).readableBytes
      while uncounted >= messageBytes {
        uncounted -= messageBytes
        waiting.popFirst()?.succeed()
      }
    }

    func channelInactive(context: ChannelHandlerContext) {
      while let promise = waiting.popFirst() { promise.fail(ChannelError.eof) }
    }
  }

  private let channel: any Channel
  private let handler: NIOLoopBound<Handler>
  private let message: ByteBuffer

  static func connect(
    to address: SocketAddress, messageBytes: Int, group: any EventLoopGroup
  ) async throws -> TaskEcho {
    try await ClientBootstrap(group: group)
      .connect(to: address) { channel in
        channel.eventLoop.makeCompletedFuture {
          let handler = Handler(messageBytes: messageBytes)
          try channel.pipeline.syncOperations.addHandler(handler)
          return TaskEcho(
            channel: channel, handler: NIOLoopBound(handler, eventLoop: channel.eventLoop),
            message: ByteBuffer(repeating: 7, count: messageBytes))
        }
      }
  }

  /// Sends one message and waits until it has come back.
  func roundTrip() async throws {
    let promise = channel.eventLoop.makePromise(of: Void.self)
    channel.eventLoop.execute {
      handler.value.wait(promise)
      channel.writeAndFlush(message, promise: nil)
    }
    try await promise.futureResult.get()
  }

  func close() async throws { try await channel.close() }
}
