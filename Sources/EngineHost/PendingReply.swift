package import ControlProtocol
package import ControlTransport
package import KVCore
import Synchronization

/// A request whose answer is written by another thread while its handler waits.
package final class PendingReply: Sendable {
  private let reply: ReplyWriter
  private let continuation: Mutex<CheckedContinuation<Bool, Never>?>

  private init(_ reply: ReplyWriter, _ continuation: CheckedContinuation<Bool, Never>) {
    self.reply = reply
    self.continuation = Mutex(continuation)
  }

  /// Gives `body` the pending reply and returns when it was finished, failed or cancelled.
  ///
  /// - Returns: false when it was cancelled before it was finished or failed.
  @discardableResult
  package static func hold(
    _ reply: ReplyWriter, _ body: (PendingReply) -> Void
  ) async -> Bool {
    let held = Mutex<PendingReply?>(nil)
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let pending = PendingReply(reply, continuation)
        held.withLock { $0 = pending }
        // A cancellation before this line found nothing to end.
        if Task.isCancelled { pending.end(isAnswered: false) }
        body(pending)
      }
    } onCancel: {
      held.withLock { $0 }?.end(isAnswered: false)
    }
  }

  /// Whether nobody waits for the answer any more.
  package var isCancelled: Bool { reply.isCancelled || continuation.withLock { $0 == nil } }

  package func send(_ message: Message) { reply.send(message, last: false) }

  package func finish(with message: Message) {
    end(isAnswered: true) { reply.send(message, last: true) }
  }

  package func fail(_ error: BatonError) {
    end(isAnswered: true) { reply.fail(error) }
  }

  /// - Parameter answer: sends the last answer. It is settled before that the request was answered:
  ///   whoever has the answer may hang up at once, which cancels what is still open.
  private func end(isAnswered: Bool, _ answer: () -> Void = {}) {
    let continuation = continuation.withLock { stored in
      defer { stored = nil }
      return stored
    }
    answer()
    continuation?.resume(returning: isAnswered)
  }
}
