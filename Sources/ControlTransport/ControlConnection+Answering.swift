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
    var isError = if case .error = message { true } else { false }
    let encoded: EncodedMessage
    do throws(BatonError) {
      encoded = try FrameEncoder.encode(
        message, stream: stream, flags: isLast || isError ? .lastResponse : .response,
        limits: limits)
    } catch {
      isError = true
      encoded = Self.encoded(.error(error), stream: stream, flags: .lastResponse)
    }
    var effects = Effects()
    // The stream's step and its place in the queue are taken together: nothing may follow the last.
    state.withLock { state in
      switch state.table.answered(stream, isLast: isLast || isError) {
      case .send, .sendLast:
        isError
          ? state.sendError(encoded, on: stream, &effects)
          : state.send(encoded, on: stream, &effects)
      default: break
      }
      // Of what was accepted, the last answer is all that is to come.
      if isLast || isError, state.answering[stream]?.hasTask == false {
        state.handlerReturned(stream, &effects)
      }
    }
    perform(effects)
  }

  /// Returns when no answer of the stream waits for credit, or the stream has ended.
  func waitUntilDrained(_ stream: UInt64) async {
    await withCheckedContinuation { continuation in
      let waits = state.withLock { state in
        guard let answering = state.answering[stream], answering.hasWaiting else {
          return false
        }
        state.answering[stream]?.drained.append(continuation)
        return true
      }
      if !waits { continuation.resume() }
    }
  }

  /// Gives a request that is in the table to the handler.
  ///
  /// It runs on the event loop until it waits for something the first time: most answers need no
  /// other thread.
  func startHandler(_ message: Message, stream: UInt64, deadline: ContinuousClock.Instant) {
    let reply = ReplyWriter(connection: self, stream: stream, deadline: deadline)
    if handler.accept(message, from: self, reply: reply) { return }
    state.withLock { state in
      guard let index = state.answering.index(forKey: stream) else { return }
      state.answering.values[index].hasTask = true
    }
    // Not a child of any task: it lives from the request to its cancellation by a later frame.
    let task = Task.immediate { [handler] in
      await handler.handle(message, from: self, reply: reply)
      self.handlerReturned(stream)
    }
    let isWanted = state.withLock { state in
      guard let index = state.answering.index(forKey: stream) else { return false }
      state.answering.values[index].handler = task
      return state.table.state(of: stream) != .withdrawn
    }
    // It has returned, its time was up, or the connection was lost before the task was known.
    if !isWanted { task.cancel() }
  }

  private func handlerReturned(_ stream: UInt64) {
    var effects = Effects()
    state.withLock { $0.handlerReturned(stream, &effects) }
    perform(effects)
  }
}
