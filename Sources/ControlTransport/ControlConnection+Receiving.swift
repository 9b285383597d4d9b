internal import ControlProtocol
internal import ControlWire
internal import KVCore
internal import Synchronization

/// Messages from the peer. Called on the event loop.
extension ControlConnection {
  /// What to do with a message after unlocking.
  private enum Effect {
    case nothing
    case deliver(AnswerSink, isLast: Bool)
    case fail(AnswerSink, BatonError)
    case stop(Task<Void, Never>)
    /// Answer a request with an error in place of a handler.
    case refuse(BatonError)
    case violation(BatonError)
  }

  /// Takes one message. Throws what the connection must be closed for.
  func receive(
    _ header: FrameHeader, _ content: Result<Message, BatonError>
  ) throws(BatonError) {
    if case .failure(let error) = content, error.code == .malformedFrame { throw error }
    guard header.stream != 0 else {
      if case .success(.error(let error)) = content {
        return end(because: error, tellingPeer: false)
      }
      throw BatonError(
        .protocolViolation, "type \(header.type) came on stream 0, which carries the handshake")
    }
    switch state.withLock({ step(&$0, header, content) }) {
    case .nothing: break
    case .deliver(let sink, let isLast): deliver(content, to: sink, header.stream, isLast: isLast)
    case .fail(let sink, let error): sink.fail(error)
    case .stop(let task): task.cancel()
    case .refuse(let error):
      enqueue(Self.frame(.error(error), stream: header.stream, flags: [.response, .last]))
    case .violation(let error): throw error
    }
  }

  private func step(
    _ state: inout State, _ header: FrameHeader, _ content: Result<Message, BatonError>
  ) -> Effect {
    guard state.closeReason == nil else { return .nothing }
    let stream = header.stream
    let arrival: StreamTable.Arrival
    switch content {
    case .success(.error): arrival = .error
    case .success(.cancel): arrival = .cancel
    case .success, .failure: arrival = .message
    }
    let reception = state.table.received(
      arrival, on: stream, isResponse: header.flags.contains(.response),
      isLast: header.flags.contains(.last))
    switch reception {
    case .refuse(let error): return .refuse(error)
    case .violation(let error): return .violation(error)
    case .open:
      switch content {
      case .success(let message):
        startHandler(&state, message, stream: stream)
        return .nothing
      case .failure(let error):
        _ = state.table.answered(stream, isLast: true)
        _ = state.table.handlerReturned(stream)
        return .refuse(error)
      }
    case .known(let action):
      return effect(of: action, &state, stream, content)
    }
  }

  private func effect(
    of action: StreamMachine.Action, _ state: inout State, _ stream: UInt64,
    _ content: Result<Message, BatonError>
  ) -> Effect {
    switch action {
    case .deliver:
      return state.sinks[stream].map { .deliver($0, isLast: false) } ?? .nothing
    case .deliverLast:
      return state.sinks.removeValue(forKey: stream).map { .deliver($0, isLast: true) } ?? .nothing
    case .fail:
      guard case .success(.error(let error)) = content else { return .nothing }
      return state.sinks.removeValue(forKey: stream).map { .fail($0, error) } ?? .nothing
    case .failCancelled:
      let error = BatonError(.cancelled, "\(remote.engine) cancelled the request")
      return state.sinks.removeValue(forKey: stream).map { .fail($0, error) } ?? .nothing
    case .stopHandler:
      return state.handlers[stream].map { .stop($0) } ?? .nothing
    case .drop, .send, .sendLast, .sendCancel, .sendMissingAnswer:
      return .nothing
    }
  }

  private func deliver(
    _ content: Result<Message, BatonError>, to sink: AnswerSink, _ stream: UInt64, isLast: Bool
  ) {
    switch (sink, content) {
    case (.single(let pending), .success(let message)):
      pending.resolve(.success(message))
      // More answers than the one that was asked for are not wanted.
      if !isLast { cancel(stream, because: CancellationError()) }
    case (.stream(let continuation), .success(let message)):
      if case .dropped = continuation.yield(message) {
        let error = BatonError(
          .resourceExhausted,
          "\(TransportLimits.maximumUnreadAnswers) answers of a stream were left unread")
        isLast ? sink.fail(error) : cancel(stream, because: error)
      } else if isLast {
        continuation.finish()
      }
    case (_, .failure(let error)):
      isLast ? sink.fail(error) : cancel(stream, because: error)
    }
  }
}
