package import ControlProtocol

/// The answers to one request, in order.
///
/// Ends after the last one. Throws the peer's error, `peerGone` when the connection is lost, and
/// `CancellationError` when the reading task is cancelled. Whoever stops reading early, by
/// cancellation or by letting go of the stream, cancels the request at the peer. Read it once.
package struct MessageStream: AsyncSequence, Sendable {
  package typealias Element = Message

  let base: AsyncThrowingStream<Message, any Error>

  package func makeAsyncIterator() -> Iterator { Iterator(base: base.makeAsyncIterator()) }

  package struct Iterator: AsyncIteratorProtocol {
    var base: AsyncThrowingStream<Message, any Error>.Iterator

    package mutating func next() async throws -> Message? {
      try await next(isolation: #isolation)
    }

    package mutating func next(
      isolation actor: isolated (any Actor)?
    ) async throws(any Error) -> Message? {
      if let message = try await base.next(isolation: actor) { return message }
      // The base ends quietly on cancellation, which must not look like the answer's end.
      try Task.checkCancellation()
      return nil
    }
  }
}
