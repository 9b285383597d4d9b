internal import ControlProtocol
internal import ControlWire
internal import KVCore
internal import Synchronization

/// The side that answers the peer's requests.
extension ControlConnection {
  func isAnswering(_ stream: UInt64) -> Bool {
    state.withLock { $0.table.state(of: stream) == .answering }
  }

  /// Sends an answer, unless the stream has ended.
  func answer(_ stream: UInt64, _ message: Message, isLast: Bool) {
    // Nothing is encoded that nobody takes.
    guard isAnswering(stream) else { return }
    let frames: [UInt8]
    var isLast = isLast
    if case .error = message { isLast = true }
    do throws(BatonError) {
      frames = try FrameEncoder.encode(
        message, stream: stream, flags: isLast ? [.response, .last] : .response)
    } catch {
      isLast = true
      frames = Self.frame(.error(error), stream: stream, flags: [.response, .last])
    }
    // The stream's step and its place in the queue are taken together: nothing may follow the last.
    apply(
      state.withLock { state in
        switch state.table.answered(stream, isLast: isLast) {
        case .send, .sendLast: state.enqueue(frames)
        default: .nothing
        }
      })
  }

  /// Starts the handler of a request. Called with the lock held, so that the task finds itself in
  /// the table when it ends.
  func startHandler(_ state: inout State, _ message: Message, stream: UInt64) {
    // Not a child of any task: it lives from the request to its cancellation by a later frame.
    state.handlers[stream] = Task { [handler] in
      await handler.handle(
        message, from: self, reply: ReplyWriter(connection: self, stream: stream))
      self.handlerReturned(stream)
    }
  }

  private func handlerReturned(_ stream: UInt64) {
    let isAnswerMissing = state.withLock { state in
      state.handlers[stream] = nil
      return state.table.handlerReturned(stream) == .sendMissingAnswer
    }
    guard isAnswerMissing else { return }
    let error = BatonError(.internalError, "the request was not answered to its end")
    enqueue(Self.frame(.error(error), stream: stream, flags: [.response, .last]))
  }
}
