package import ControlProtocol
internal import KVCore

/// What a process does with the requests of its peers.
package protocol ControlHandler: Sendable {
  /// Answers one request now, or has another thread answer it soon, without a task, which costs as
  /// much as all else that is done for a short request. Runs on the event loop: must neither wait
  /// nor compute for long. Who answers is not told when the peer cancels the request; its last
  /// answer must come all the same, though nobody may take it any more.
  ///
  /// Returns false, having done nothing, for what `handle` is to answer.
  func accept(
    _ message: Message, from connection: ControlConnection, reply: ReplyWriter
  ) -> Bool

  /// Answers one request that was not accepted. Runs in a task of its own, beside those of the
  /// connection's other requests, and on the event loop until it waits for something the first
  /// time: what computes for long before that belongs in a `@concurrent` function. It is cancelled
  /// when the peer cancels the request, its time is up or the connection is lost. The last answer
  /// must be sent before it returns: the peer gets an internal error otherwise.
  func handle(
    _ message: Message, from connection: ControlConnection, reply: ReplyWriter
  ) async

  /// The connection is lost or closed. Called at once, wherever that was noticed: must not block.
  func connectionClosed(_ connection: ControlConnection)
}

extension ControlHandler {
  package func accept(
    _ message: Message, from connection: ControlConnection, reply: ReplyWriter
  ) -> Bool { false }

  package func connectionClosed(_ connection: ControlConnection) {}
}

/// The handler of a process that asks and is not asked.
package struct RefusingHandler: ControlHandler {
  package init() {}

  package func handle(
    _ message: Message, from connection: ControlConnection, reply: ReplyWriter
  ) async {
    reply.fail(BatonError(.unimplemented, "this side of the connection takes no requests"))
  }
}
