package import ControlProtocol
package import KVCore

/// Where the answers to one request go. May be called from any thread and never blocks.
package struct ReplyWriter: Sendable {
  private let connection: ControlConnection
  private let stream: UInt64

  init(connection: ControlConnection, stream: UInt64) {
    self.connection = connection
    self.stream = stream
  }

  /// Whether nobody takes answers any more: the peer cancelled, the connection is lost, or the
  /// last answer was sent. What is sent nevertheless is dropped.
  package var isCancelled: Bool { !connection.isAnswering(stream) }

  /// Sends an answer; after the one with `last`, or an error, nothing more is sent.
  ///
  /// An answer that is too large for a message is replaced by an error and is the last.
  package func send(_ message: Message, last: Bool) {
    connection.answer(stream, message, isLast: last)
  }

  /// Ends the answers with an error.
  package func fail(_ error: BatonError) {
    connection.answer(stream, .error(error), isLast: true)
  }
}
