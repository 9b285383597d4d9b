package import ControlProtocol
package import KVCore

/// Where the answers to one request go. May be called from any thread.
package struct ReplyWriter: Sendable {
  private let connection: ControlConnection
  private let stream: UInt64
  /// When the last answer must have been sent.
  package let deadline: ContinuousClock.Instant

  init(connection: ControlConnection, stream: UInt64, deadline: ContinuousClock.Instant) {
    self.connection = connection
    self.stream = stream
    self.deadline = deadline
  }

  /// Whether nobody takes answers any more: the peer cancelled, the time is up, the connection is
  /// lost, or the last answer was sent. What is sent nevertheless is dropped.
  package var isCancelled: Bool { !connection.isAnswering(stream) }

  /// Sends an answer; after the one with `last`, or an error, nothing more is sent. Never blocks:
  /// what the asker has no room for yet waits here, within limits.
  ///
  /// An answer that is too large for a message is replaced by an error and is the last.
  package func send(_ message: Message, last: Bool) {
    connection.answer(stream, message, isLast: last)
  }

  /// Sends an answer and returns when the asker has had room for it, or nobody takes it any more:
  /// for answers that are many and large.
  package func sendWaiting(_ message: Message, last: Bool) async {
    connection.answer(stream, message, isLast: last)
    await connection.waitUntilDrained(stream)
  }

  /// Ends the answers with an error.
  package func fail(_ error: BatonError) {
    connection.answer(stream, .error(error), isLast: true)
  }
}
