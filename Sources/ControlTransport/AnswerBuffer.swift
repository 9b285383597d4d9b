internal import ControlProtocol
internal import NIOCore
internal import Synchronization

/// Answers of one stream on their way from the event loop to the task that reads them.
final class AnswerBuffer: Sendable {
  /// What a reader gets: an answer and its cost, or nil at the end.
  typealias Element = (message: Message, cost: Int)?

  private struct State {
    var answers = CircularBuffer<(message: Message, cost: Int)>()
    /// Of what is in `answers`.
    var cost = 0
    /// What comes after `answers`, once that is known.
    var end: Result<Void, any Error>?
    var waiter: CheckedContinuation<Element, any Error>?
  }

  private let state = Mutex(State())

  /// What waits to be read.
  var unreadCost: Int { state.withLock(\.cost) }

  /// Adds an answer; false after the end.
  func push(_ message: Message, cost: Int) -> Bool {
    let (isTaken, waiter) = state.withLock {
      state -> (Bool, CheckedContinuation<Element, any Error>?) in
      guard state.end == nil else { return (false, nil) }
      if let waiter = state.waiter {
        state.waiter = nil
        return (true, waiter)
      }
      state.answers.append((message, cost))
      state.cost += cost
      return (true, nil)
    }
    waiter?.resume(returning: (message, cost))
    return isTaken
  }

  /// No more answers come; `error` says why unless the last one has. What has come can still be
  /// read. Ignored after the end.
  func end(_ error: (any Error)?) {
    let end: Result<Void, any Error> = error.map { .failure($0) } ?? .success(())
    let waiter = state.withLock { state -> CheckedContinuation<Element, any Error>? in
      guard state.end == nil else { return nil }
      state.end = end
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume(with: end.map { nil })
  }

  /// Drops what was not read yet; returns its cost.
  func discard() -> Int {
    state.withLock { state in
      state.answers.removeAll()
      defer { state.cost = 0 }
      return state.cost
    }
  }

  /// Waits for the next answer. One task reads at a time.
  func next() async throws -> Element {
    try await withCheckedThrowingContinuation { continuation in
      let ready = state.withLock { state -> Result<Element, any Error>? in
        if let first = state.answers.popFirst() {
          state.cost -= first.cost
          return .success(first)
        }
        if let end = state.end { return end.map { nil } }
        precondition(state.waiter == nil, "two tasks read one stream")
        state.waiter = continuation
        return nil
      }
      if let ready { continuation.resume(with: ready) }
    }
  }
}
