internal import ControlProtocol
internal import ControlWire
internal import KVCore
internal import Synchronization

/// Messages from the peer. Called on the event loop.
extension ControlConnection {
  /// What came in one message.
  private struct Arrival {
    let header: FrameHeader
    let content: Result<Message, BatonError>

    var stream: UInt64 { header.stream }
    var isLast: Bool { header.flags.contains(.last) }
    var cost: Int { StreamCredit.cost(payloadBytes: Int(header.payloadLength)) }

    var kind: StreamTable.Arrival {
      switch content {
      case .success(.error): .error
      case .success(.cancel): .cancel
      case .success(.credit): .credit
      case .success, .failure: .message
      }
    }
  }

  /// Takes one message; returns the buffer of answers that it went to, whose reader is to be told
  /// when all messages that have come are taken. Throws what the connection must be closed for.
  func receive(
    _ header: FrameHeader, _ content: Result<Message, BatonError>
  ) throws(BatonError) -> AnswerBuffer? {
    if case .failure(let error) = content, error.code == .malformedFrame { throw error }
    guard header.stream != 0 else {
      try receiveOfConnection(header, content)
      return nil
    }
    var effects = Effects()
    // Not thrown through the lock: what was done before the violation must be performed.
    let violation = state.withLock { state -> BatonError? in
      do throws(BatonError) {
        try step(&state, Arrival(header: header, content: content), &effects)
        return nil
      } catch {
        return error
      }
    }
    let buffer = give(effects.answer)
    perform(effects)
    if let violation { throw violation }
    return buffer
  }

  private func give(_ answer: Effects.Answer?) -> AnswerBuffer? {
    switch answer?.sink {
    case .single(let pending)?:
      if let answer { pending.resolve(.success(answer.message)) }
    case .stream(let buffer)?:
      guard let answer else { break }
      // Nobody reads what comes after the end.
      if !buffer.push(answer.message, cost: answer.cost) { took(answer.cost, on: 0) }
      if answer.isLast { buffer.end(nil) } else { return buffer }
    case nil: break
    }
    return nil
  }

  /// A message on stream 0.
  private func receiveOfConnection(
    _ header: FrameHeader, _ content: Result<Message, BatonError>
  ) throws(BatonError) {
    switch (content, header.flags) {
    case (.success(.ping(let number)), .last):
      enqueue(
        Self.frame(.pong(number), stream: 0, flags: .lastResponse), isUrgent: true)
    case (.success(.pong(let number)), .lastResponse):
      // To who watches the peer, that something came is all that it says.
      state.withLock { $0.pings.removeValue(forKey: number) }?.answer
        .resolve(.success(.pong(number)))
    default:
      throw BatonError(
        .protocolViolation,
        "type \(header.type) with flags \(header.flags.rawValue) came on stream 0, which carries "
          + "the handshake, pings and pongs")
    }
  }

  private func step(
    _ state: inout State, _ arrival: Arrival, _ effects: inout Effects
  ) throws(BatonError) {
    guard state.closeReason == nil else { return }
    let stream = arrival.stream
    let reception = state.table.received(
      arrival.kind, on: stream, isResponse: arrival.header.flags.contains(.response),
      isLast: arrival.isLast)
    switch reception {
    case .violation(let error): throw error
    case .refuse(let error): refuse(&state, stream, error, &effects)
    case .open: open(&state, arrival, &effects)
    case .known(let action):
      if arrival.header.flags.contains(.response) {
        try answer(&state, action, arrival, &effects)
      } else if case .success(.credit(let bytes)) = arrival.content {
        try state.grant(bytes, on: stream, &effects)
      } else {
        state.withdraw(stream, stopping: action == .stopHandler, &effects)
      }
    }
  }

  /// Answers a request with an error in place of a handler.
  private func refuse(
    _ state: inout State, _ stream: UInt64, _ error: BatonError, _ effects: inout Effects
  ) {
    state.enqueue(
      Self.frame(.error(error), stream: stream, flags: .lastResponse), &effects)
  }

  /// A request that the machine lets in: what is wrong with it is answered, the rest is handled.
  private func open(_ state: inout State, _ arrival: Arrival, _ effects: inout Effects) {
    let refusal: BatonError
    let bytes = Int(arrival.header.payloadLength)
    switch (arrival.content, arrival.header.deadlineMilliseconds) {
    case (.failure(let error), _):
      refusal = error
    case (.success, nil):
      refusal = BatonError(.invalidArgument, "a request has a deadline; this one has none")
    case (.success, let deadline?)
    where !(1...UInt32(Limits.maximumDeadlineMilliseconds)).contains(deadline):
      refusal = BatonError(
        .invalidArgument,
        "a deadline of \(deadline) ms; 1 to \(Limits.maximumDeadlineMilliseconds) are allowed")
    case (.success, _)
    where state.answeringBytes + bytes > TransportLimits.maximumRequestBytes:
      refusal = BatonError(
        .resourceExhausted,
        "the open requests of this connection have \(state.answeringBytes) bytes; with this one "
          + "they would have more than the \(TransportLimits.maximumRequestBytes) allowed")
    case (.success(let message), let milliseconds?):
      let deadline = ContinuousClock.now + .milliseconds(milliseconds)
      state.answering[arrival.stream] = Answering(deadline: deadline, requestBytes: bytes)
      state.answeringBytes += bytes
      state.addDeadline(deadline)
      effects.request = (message, arrival.stream, deadline)
      return
    }
    _ = state.table.answered(arrival.stream, isLast: true)
    _ = state.table.handlerReturned(arrival.stream)
    refuse(&state, arrival.stream, refusal, &effects)
  }

  /// An answer to a request of this side.
  private func answer(
    _ state: inout State, _ action: StreamMachine.Action, _ arrival: Arrival,
    _ effects: inout Effects
  ) throws(BatonError) {
    let stream = arrival.stream
    switch action {
    case .deliver, .deliverLast:
      guard let index = state.asking.index(forKey: stream) else { return }
      try state.asking.values[index].credit.receive(arrival.cost)
      let sink = state.asking.values[index].sink
      if action == .deliverLast { _ = state.removeAsking(stream) }
      deliver(&state, arrival, to: sink, &effects)
    case .fail, .failCancelled:
      guard let sink = state.removeAsking(stream)?.sink else { return }
      if case .success(.error(let error)) = arrival.content {
        effects.failures.append((sink, error))
      } else {
        effects.failures.append(
          (sink, BatonError(.cancelled, "\(remote.engine) cancelled the request")))
      }
    case .drop, .send, .sendLast, .sendCancel, .sendMissingAnswer, .stopHandler:
      break
    }
  }

  private func deliver(
    _ state: inout State, _ arrival: Arrival, to sink: AnswerSink, _ effects: inout Effects
  ) {
    switch (sink, arrival.content) {
    case (.single, .success(let message)):
      effects.answer = Effects.Answer(
        sink: sink, message: message, cost: 0, isLast: arrival.isLast)
      // More answers than the one that was asked for are not wanted.
      if !arrival.isLast { state.cancel(arrival.stream, because: CancellationError(), &effects) }
    case (.stream, .success(let message)):
      state.unreadBytes += arrival.cost
      effects.answer = Effects.Answer(
        sink: sink, message: message, cost: arrival.cost, isLast: arrival.isLast)
      if state.unreadBytes > TransportLimits.maximumUnreadBytes { state.dropSlowest(&effects) }
    case (_, .failure(let error)):
      effects.failures.append((sink, error))
      if !arrival.isLast { state.cancel(arrival.stream, because: error, &effects) }
    }
  }
}

extension ControlConnection.State {
  /// Ends the request whose answers are read most slowly, so that the others go on.
  fileprivate mutating func dropSlowest(_ effects: inout ControlConnection.Effects) {
    let slowest = buffers.map { ($0.key, $0.value, $0.value.unreadCost) }.max { $0.2 < $1.2 }
    guard let (stream, buffer, cost) = slowest else { return }
    let error = BatonError(
      .resourceExhausted,
      "answers were read so slowly that too many waited; of this request they were \(cost) bytes")
    unreadBytes -= buffer.abort(because: error)
    // Wakes who reads it, which must not happen under the lock.
    effects.failures.append((.stream(buffer), error))
    cancel(stream, because: error, &effects)
  }
}
