internal import ControlProtocol
internal import KVCore
internal import Synchronization

/// Who waits for the answers on one stream.
enum AnswerSink: Sendable {
  case single(PendingAnswer)
  case stream(AnswerBuffer)

  func fail(_ error: any Error) {
    switch self {
    case .single(let pending): pending.resolve(.failure(error))
    case .stream(let buffer): buffer.end(error)
    }
  }
}

/// The one answer to a request, whether it comes before or after somebody waits for it.
final class PendingAnswer: Sendable {
  private enum State {
    case empty
    case waiting(CheckedContinuation<Message, any Error>)
    case resolved(Result<Message, any Error>)
    case taken
  }

  private let state = Mutex(State.empty)

  /// Gives the answer; a second one is ignored.
  func resolve(_ result: Result<Message, any Error>) {
    let waiting: CheckedContinuation<Message, any Error>? = state.withLock { state in
      switch state {
      case .empty:
        state = .resolved(result)
        return nil
      case .waiting(let continuation):
        state = .taken
        return continuation
      case .resolved, .taken:
        return nil
      }
    }
    waiting?.resume(with: result)
  }

  /// Waits for the answer. Call once.
  func value() async throws -> Message {
    try await withCheckedThrowingContinuation { continuation in
      let result: Result<Message, any Error>? = state.withLock { state in
        switch state {
        case .empty:
          state = .waiting(continuation)
          return nil
        case .resolved(let result):
          state = .taken
          return result
        case .waiting, .taken:
          preconditionFailure("an answer is waited for twice")
        }
      }
      if let result { continuation.resume(with: result) }
    }
  }
}
