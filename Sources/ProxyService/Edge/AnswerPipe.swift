package import NIOCore
import Synchronization

/// Carries one answer's bytes from the task that makes them to the task that writes them.
///
/// All that is ready when the writer asks leaves in one piece, so that tokens of one turn become
/// one write. What a slow reader leaves lying is bounded. One task reads.
package final class AnswerPipe: Sendable {
  package enum Output: Hashable, Sendable {
    case bytes(ByteBuffer)
    /// The answer is complete.
    case end
    /// The answer failed; what was appended before has been given out.
    case failed(APIError)
    /// Nobody wants the rest: the client is gone, or too far behind.
    case aborted
  }

  private enum Ending {
    case end
    case failed(APIError)
    case aborted

    var output: Output {
      switch self {
      case .end: .end
      case .failed(let error): .failed(error)
      case .aborted: .aborted
      }
    }
  }

  private struct State {
    var pending = ByteBuffer()
    var ending: Ending?
    var reader: CheckedContinuation<Output, Never>?
    /// How often the reader has asked.
    var turns = 0

    /// What can be given out now; nil when there is nothing yet.
    mutating func take() -> Output? {
      if case .aborted = ending { return .aborted }
      if pending.readableBytes > 0 {
        defer { pending = ByteBuffer() }
        return .bytes(pending)
      }
      return ending?.output
    }

    /// The waiting reader and what it gets.
    mutating func wake() -> (reader: CheckedContinuation<Output, Never>, output: Output)? {
      guard let reader, let output = take() else { return nil }
      self.reader = nil
      return (reader, output)
    }
  }

  private let state = Mutex(State())
  private let limit: Int
  private let onOverflow: @Sendable () -> Void

  /// - Parameters:
  ///   - limit: bytes that may lie unread; one more aborts the answer.
  ///   - onOverflow: called when that has happened: the reader may be stuck in a write, and hears
  ///     of it only when that ends.
  package init(
    limit: Int = EdgeLimits.maximumUnreadBytes, onOverflow: @escaping @Sendable () -> Void = {}
  ) {
    self.limit = limit
    self.onOverflow = onOverflow
  }

  /// The turn of the reader that is busy with what it got; nil while it waits for more.
  package var busyTurn: Int? { state.withLock { $0.reader == nil ? $0.turns : nil } }

  /// The error that the answer ended with.
  package var failure: APIError? {
    state.withLock { state in
      if case .failed(let error) = state.ending { error } else { nil }
    }
  }

  package func append(_ bytes: ByteBuffer) {
    let overflows = change { state in
      guard state.ending == nil else { return false }
      state.pending.writeImmutableBuffer(bytes)
      guard state.pending.readableBytes > limit else { return false }
      state.ending = .aborted
      return true
    }
    if overflows { onOverflow() }
  }

  package func finish() { end(.end) }
  package func fail(_ error: APIError) { end(.failed(error)) }

  /// Ends the answer at once; what was not read is dropped.
  package func abort() {
    change { state in
      if case .failed = state.ending { return }
      state.ending = .aborted
    }
  }

  /// Waits for what is ready. A cancelled reader gets `aborted`.
  package func next() async -> Output {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let output = state.withLock { state -> Output? in
          precondition(state.reader == nil, "one task reads an answer")
          state.turns += 1
          if let output = state.take() { return output }
          state.reader = continuation
          return nil
        }
        if let output { continuation.resume(returning: output) }
      }
    } onCancel: {
      abort()
    }
  }

  private func end(_ ending: Ending) {
    change { state in
      if state.ending == nil { state.ending = ending }
    }
  }

  private func change<Result>(_ body: (inout sending State) -> Result) -> Result {
    let (result, woken) = state.withLock { state in (body(&state), state.wake()) }
    if let (reader, output) = woken { reader.resume(returning: output) }
    return result
  }
}
