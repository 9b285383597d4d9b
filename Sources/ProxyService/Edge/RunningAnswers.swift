import KVCore
import Synchronization

/// The answers in progress, so that their clients can be told when the server stops.
final class RunningAnswers: Sendable {
  private struct State {
    var pipes: [RequestID: AnswerPipe] = [:]
    var isStopped = false
  }

  private let state = Mutex(State())

  /// `remove` must follow the answer's end. After `stop` an answer fails at once.
  func insert(_ pipe: AnswerPipe, id: RequestID) {
    let isStopped = state.withLock { state in
      state.pipes[id] = pipe
      return state.isStopped
    }
    if isStopped { pipe.fail(.stopping) }
  }

  func remove(_ id: RequestID) {
    state.withLock { state in _ = state.pipes.removeValue(forKey: id) }
  }

  /// Fails every answer that is not complete.
  func stop() {
    let pipes = state.withLock { state in
      state.isStopped = true
      return Array(state.pipes.values)
    }
    for pipe in pipes { pipe.fail(.stopping) }
  }
}

extension APIError {
  fileprivate static let stopping = APIError(BatonError(.unavailable, "the server is stopping"))
}
