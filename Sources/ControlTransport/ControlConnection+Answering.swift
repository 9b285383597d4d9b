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
    var isError = if case .error = message { true } else { false }
    let encoded: EncodedMessage
    do throws(BatonError) {
      encoded = try FrameEncoder.encode(
        message, stream: stream, flags: isLast || isError ? [.response, .last] : .response,
        limits: limits)
    } catch {
      isError = true
      encoded = Self.encoded(.error(error), stream: stream, flags: [.response, .last])
    }
    var effects = Effects()
    // The stream's step and its place in the queue are taken together: nothing may follow the last.
    state.withLock { state in
      switch state.table.answered(stream, isLast: isLast || isError) {
      case .send, .sendLast: state.send(encoded, on: stream, isError: isError, &effects)
      default: break
      }
    }
    perform(effects)
  }

  /// Returns when no answer of the stream waits for credit, or the stream has ended.
  func waitUntilDrained(_ stream: UInt64) async {
    await withCheckedContinuation { continuation in
      let waits = state.withLock { state in
        guard let answering = state.answering[stream], !answering.waiting.isEmpty else {
          return false
        }
        state.answering[stream]?.drained.append(continuation)
        return true
      }
      if !waits { continuation.resume() }
    }
  }

  /// Starts the handler of a request. Called with the lock held, so that the task finds itself in
  /// the table when it ends.
  func startHandler(
    _ state: inout State, _ message: Message, stream: UInt64, _ header: FrameHeader,
    within milliseconds: UInt32
  ) {
    let deadline = ContinuousClock.now + .milliseconds(milliseconds)
    var answering = Answering(deadline: deadline, requestBytes: Int(header.payloadLength))
    state.addDeadline(deadline)
    state.answeringBytes += answering.requestBytes
    // Not a child of any task: it lives from the request to its cancellation by a later frame.
    answering.handler = Task { [handler] in
      await handler.handle(
        message, from: self,
        reply: ReplyWriter(connection: self, stream: stream, deadline: deadline))
      self.handlerReturned(stream)
    }
    state.answering[stream] = answering
  }

  private func handlerReturned(_ stream: UInt64) {
    var effects = Effects()
    state.withLock { state in
      state.answering[stream]?.handler = nil
      if state.table.handlerReturned(stream) == .sendMissingAnswer {
        let error = BatonError(.internalError, "the request was not answered to its end")
        let frame = Self.encoded(.error(error), stream: stream, flags: [.response, .last])
        state.send(frame, on: stream, isError: true, &effects)
      }
      state.settle(stream, &effects)
    }
    perform(effects)
  }
}
