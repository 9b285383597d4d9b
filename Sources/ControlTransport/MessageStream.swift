package import ControlProtocol

/// The answers to one request, in order.
///
/// Ends after the last one. Throws the peer's error, `peerGone` when the connection is lost,
/// `deadlineExceeded` when the request's time is up, and `CancellationError` when the reading task
/// is cancelled. Whoever stops reading early, by cancellation or by letting go of the stream,
/// cancels the request at the peer. Read it once.
///
/// What is read makes room for more: a peer sends only so much that nobody has taken.
package struct MessageStream: AsyncSequence, Sendable {
  package typealias Element = Message

  let reader: AnswerReader

  package func makeAsyncIterator() -> Iterator { Iterator(reader: reader) }

  package struct Iterator: AsyncIteratorProtocol {
    let reader: AnswerReader

    package mutating func next() async throws -> Message? { try await reader.next() }

    package mutating func next(
      isolation actor: isolated (any Actor)?
    ) async throws(any Error) -> Message? {
      try await reader.next()
    }
  }
}

/// Who reads a stream's answers; letting go of it cancels the request.
final class AnswerReader: Sendable {
  private let connection: ControlConnection
  private let stream: UInt64
  private let buffer: AnswerBuffer

  init(connection: ControlConnection, stream: UInt64, buffer: AnswerBuffer) {
    self.connection = connection
    self.stream = stream
    self.buffer = buffer
  }

  deinit {
    connection.cancel(stream, because: CancellationError())
    buffer.end(nil)
    connection.letGo(of: stream, buffer.discard())
  }

  func next() async throws -> Message? {
    try Task.checkCancellation()
    defer { connection.took(buffer.takeUntold(), on: stream) }
    if let ready = buffer.ready() { return try ready.get() }
    return try await withTaskCancellationHandler {
      try await buffer.next()
    } onCancel: {
      connection.cancel(stream, because: CancellationError())
    }
  }
}
