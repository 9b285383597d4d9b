internal import ControlProtocol
internal import NIOCore
internal import Synchronization

/// Answers of one stream on their way from the event loop to the task that reads them.
final class AnswerBuffer: Sendable {
  /// What a reader gets: an answer, or nil at the end.
  typealias Element = Message?

  /// Costs are told in parts of the window, so that reading seldom needs the connection's lock.
  private static let toldCost = StreamCredit.window / 8

  struct State {
    var answers = CircularBuffer<(message: Message, cost: Int)>()
    /// Of what is in `answers`.
    var cost = 0
    /// Of what was read and not told.
    var untold = 0
    /// What comes after `answers`, once that is known.
    var end: Result<Void, any Error>?
    var waiter: CheckedContinuation<Element, any Error>?
  }

  private let state = Mutex(State())

  /// What waits to be read.
  var unreadCost: Int { state.withLock(\.cost) }

  /// Adds an answer; false after the end. A reader that waits is told by `wake`, once for all that
  /// has come.
  func push(_ message: Message, cost: Int) -> Bool {
    state.withLock { state in
      guard state.end == nil else { return false }
      state.answers.append((message, cost))
      state.cost += cost
      return true
    }
  }

  /// No more answers come; `error` says why unless the last one has. What has come can still be
  /// read. Ignored after the end.
  func end(_ error: (any Error)?) {
    state.withLock { state in
      if state.end == nil { state.end = error.map { .failure($0) } ?? .success(()) }
    }
    wake()
  }

  /// Gives a reader that waits what has come.
  func wake() {
    let (waiter, ready) = state.withLock { state in
      guard let waiter = state.waiter, let ready = state.take() else {
        return (CheckedContinuation<Element, any Error>?.none, Result<Element, any Error>?.none)
      }
      state.waiter = nil
      return (waiter, ready)
    }
    if let waiter, let ready { waiter.resume(with: ready) }
  }

  /// Drops what was not read yet; returns its cost, and what was not told.
  func discard() -> Int {
    state.withLock { state in
      state.answers.removeAll()
      defer { (state.cost, state.untold) = (0, 0) }
      return state.cost + state.untold
    }
  }

  /// Takes back what was not read yet, and the end if there is one: readers get `error`. Returns
  /// the cost. `end` wakes a reader that waits.
  func abort(because error: any Error) -> Int {
    state.withLock { state in
      state.answers.removeAll()
      state.end = .failure(error)
      defer { state.cost = 0 }
      return state.cost
    }
  }

  /// What has been read and not been told, once it is worth telling; else 0.
  func takeUntold() -> Int {
    state.withLock { state in
      guard state.untold >= Self.toldCost else { return 0 }
      defer { state.untold = 0 }
      return state.untold
    }
  }

  /// The next answer if it has come, or the end; nil where that is still to come.
  func ready() -> Result<Element, any Error>? {
    state.withLock { $0.take() }
  }

  /// Waits for the next answer. One task reads at a time.
  func next() async throws -> Element {
    try await withCheckedThrowingContinuation { continuation in
      let ready = state.withLock { state -> Result<Element, any Error>? in
        if let ready = state.take() { return ready }
        precondition(state.waiter == nil, "two tasks read one stream")
        state.waiter = continuation
        return nil
      }
      if let ready { continuation.resume(with: ready) }
    }
  }
}

extension AnswerBuffer.State {
  mutating func take() -> Result<AnswerBuffer.Element, any Error>? {
    if let first = answers.popFirst() {
      cost -= first.cost
      untold += first.cost
      return .success(first.message)
    }
    return end?.map { nil }
  }
}
