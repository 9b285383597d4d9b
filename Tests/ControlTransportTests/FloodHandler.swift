import ControlProtocol
import ControlTransport
import KVCore
import Synchronization

/// Answers `modelAssetsRequest` with many pieces as fast as it can, all else as `TestHandler` does.
final class FloodHandler: ControlHandler {
  private let answers: Int
  private let pieceBytes: Int
  private let waits: Bool
  private let count = Atomic<Int>(0)
  private let done: AsyncStream<Void>
  private let finished: AsyncStream<Void>.Continuation
  private let other = TestHandler()

  /// - Parameter waits: whether each piece waits for the reader's room.
  init(answers: Int, pieceBytes: Int = 1_000, waits: Bool = false) {
    self.answers = answers
    self.pieceBytes = pieceBytes
    self.waits = waits
    (done, finished) = AsyncStream.makeStream()
  }

  /// Pieces that were given to the connection.
  var made: Int { count.load(ordering: .relaxed) }

  /// Returns when a request has been answered to its end, or taken back.
  func madeAll() async {
    for await _ in done { return }
  }

  /// Not on the event loop, which it would keep from everything else.
  @concurrent
  func handle(
    _ message: Message, from connection: ControlConnection, reply: ReplyWriter
  ) async {
    guard case .modelAssetsRequest = message else {
      return await other.handle(message, from: connection, reply: reply)
    }
    defer { finished.yield() }
    for index in 0..<answers where !reply.isCancelled {
      let piece = Message.modelAssetChunk(
        ModelAssetChunk(
          name: "a", sha256: [UInt8](repeating: 0, count: 32),
          totalBytes: UInt64(answers * pieceBytes), offset: UInt64(index * pieceBytes),
          data: [UInt8](repeating: 1, count: pieceBytes)))
      count.add(1, ordering: .relaxed)
      if waits {
        await reply.sendWaiting(piece, last: index == answers - 1)
      } else {
        reply.send(piece, last: index == answers - 1)
      }
    }
  }
}
