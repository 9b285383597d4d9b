package import ControlProtocol
internal import ControlWire
package import KVCore
internal import NIOCore
internal import Synchronization

/// Something that came while a connection was opened.
package struct HandshakeStep: Hashable, Sendable {
  /// `connected`, or the name of the peer's message.
  package let name: String
  /// Since this side began to connect.
  package let time: Duration
}

/// One control connection after its handshake. Both sides may ask and answer.
///
/// Stays open until one side closes it, whoever still holds this object. All methods may be called
/// from any thread. Frames that are ready in one turn of the event loop leave in one write.
package final class ControlConnection: Sendable {
  package let remote: Hello
  package let remoteInfo: PeerInfo
  /// What came from the peer before the connection was open, and when.
  package let handshakeSteps: [HandshakeStep]

  let handler: any ControlHandler
  let channel: any Channel
  /// What may be sent: compressed if both sides have said that they can read it.
  let limits: FrameLimits
  let state: Mutex<State>
  /// Those who ask wait for each other here.
  private let opening = Mutex(())

  init(
    side: HandshakeMachine.Side, outcome: HandshakeMachine.Outcome, limits: FrameLimits,
    handler: any ControlHandler, channel: any Channel, handshakeSteps: [HandshakeStep]
  ) {
    self.handshakeSteps = handshakeSteps
    remote = outcome.hello
    remoteInfo = outcome.info
    self.limits = limits
    self.handler = handler
    self.channel = channel
    state = Mutex(State(table: StreamTable(side: side)))
  }

  /// Asks and waits for the one answer, at most as long as `limit`, which the peer is told.
  ///
  /// Throws the peer's error, `deadlineExceeded` when no answer has come in time, `peerGone` when
  /// the connection is lost, `resourceExhausted` when too many requests are open,
  /// `invalidArgument` for a message that is too large, and `CancellationError` when the calling
  /// task is cancelled. Whoever stops waiting cancels the request at the peer.
  package func request(_ message: Message, within limit: Duration) async throws -> Message {
    let pending = PendingAnswer()
    let stream = try open(message, .single(pending), within: limit)
    return try await withTaskCancellationHandler {
      try await pending.value()
    } onCancel: {
      cancel(stream, because: CancellationError())
    }
  }

  /// Asks for answers that come one by one, the last one within `limit`. Throws as `request` does,
  /// before anything is sent.
  package func stream(
    _ message: Message, within limit: Duration
  ) throws(BatonError) -> MessageStream {
    let buffer = AnswerBuffer()
    let stream = try open(message, .stream(buffer), within: limit)
    return MessageStream(
      reader: AnswerReader(connection: self, stream: stream, buffer: buffer))
  }

  /// Sends a ping and waits for the pong.
  ///
  /// Throws `peerGone` when the connection is lost, and `deadlineExceeded` when none comes in time.
  package func ping(within limit: Duration) async throws {
    let pending = PendingAnswer()
    let pinging = Pinging(answer: pending, deadline: ContinuousClock.now + limit)
    var effects = Effects()
    try state.withLock { (state: inout State) throws(BatonError) in
      try state.ping(pinging, &effects)
    }
    perform(effects)
    _ = try await pending.value()
  }

  /// False from the moment on when the connection is lost or closed.
  package var isOpen: Bool { state.withLock { $0.closeReason == nil } }

  /// Why the connection is over; nil while it is open.
  package var closeReason: BatonError? { state.withLock { $0.closeReason } }

  /// Returns when the connection is lost or closed, or the calling task is cancelled.
  package func waitUntilClosed() async {
    let (closed, continuation) = AsyncStream.makeStream(of: Never.self)
    let isOpen = state.withLock { state in
      guard state.closeReason == nil else { return false }
      state.closeWaiters.append(continuation)
      return true
    }
    if !isOpen { continuation.finish() }
    for await _ in closed {}
  }

  /// Ends the connection: what was sent still goes out, what is waited for fails with `cancelled`.
  package func close() {
    end(
      because: BatonError(.cancelled, "this side closed the connection with \(remote.engine)"),
      tellingPeer: false, isOwnWish: true)
  }

  private func open(
    _ message: Message, _ sink: AnswerSink, within limit: Duration
  ) throws(BatonError) -> UInt64 {
    var effects = Effects()
    // Ids must rise on the wire: from the choice of one until it is queued, nobody else asks.
    let stream = try opening.withLock { (_: inout ()) throws(BatonError) -> UInt64 in
      try openNext(message, sink, within: limit, &effects)
    }
    perform(effects)
    return stream
  }

  private func openNext(
    _ message: Message, _ sink: AnswerSink, within limit: Duration, _ effects: inout Effects
  ) throws(BatonError) -> UInt64 {
    guard limit > .zero else {
      throw BatonError(.deadlineExceeded, "no time is left to ask \(remote.engine)")
    }
    let milliseconds = UInt32(
      min(max(1, limit.wholeMilliseconds), UInt64(Limits.maximumDeadlineMilliseconds)))
    let deadline = ContinuousClock.now + .milliseconds(milliseconds)
    let stream = try state.withLock { (state: inout State) throws(BatonError) -> UInt64 in
      try state.open(Asking(sink: sink, deadline: deadline))
    }
    do throws(BatonError) {
      let request = try FrameEncoder.encode(
        message, stream: stream, flags: .last, deadlineMilliseconds: milliseconds,
        limits: limits)
      try state.withLock { (state: inout State) throws(BatonError) in
        try state.enqueueRequest(request, stream, &effects)
      }
    } catch {
      state.withLock { state in
        _ = state.table.cancel(stream)
        _ = state.removeAsking(stream)
        state.buffers[stream] = nil
      }
      throw error
    }
    return stream
  }

  /// Ends a stream of this side whose answers nobody wants any more.
  func cancel(_ stream: UInt64, because error: any Error) {
    var effects = Effects()
    state.withLock { $0.cancel(stream, because: error, &effects) }
    perform(effects)
  }

  /// Nobody reads a stream's answers any more, of which these were left.
  func letGo(of stream: UInt64, _ cost: Int) {
    state.withLock { state in
      state.buffers[stream] = nil
      state.unreadBytes -= cost
    }
  }

  /// A reader has taken answers of this cost, or will never take them.
  func took(_ cost: Int, on stream: UInt64) {
    guard cost > 0 else { return }
    var effects = Effects()
    state.withLock { state in
      state.unreadBytes -= cost
      guard let index = state.asking.index(forKey: stream),
        let credit = state.asking.values[index].credit.take(cost)
      else { return }
      state.enqueueUrgent(Self.frame(.credit(credit), stream: stream, flags: []), &effects)
    }
    perform(effects)
  }

  func perform(_ effects: Effects) {
    if let (message, stream, deadline) = effects.request {
      startHandler(message, stream: stream, deadline: deadline)
    }
    for (sink, error) in effects.failures { sink.fail(error) }
    for handler in effects.stopped { handler.cancel() }
    for waiter in effects.resumed { waiter.resume() }
    if effects.flushes { channel.eventLoop.execute { self.flush() } }
    guard effects.overflows else { return }
    end(
      because: BatonError(
        .resourceExhausted,
        "\(remote.engine) left more than \(TransportLimits.maximumUnwrittenBytes) bytes unread"),
      tellingPeer: false)
    channel.close(promise: nil)
  }

  /// A message that always fits one frame.
  static func encoded(_ message: Message, stream: UInt64, flags: FrameFlags) -> EncodedMessage {
    do throws(BatonError) {
      return try FrameEncoder.encode(message, stream: stream, flags: flags)
    } catch {
      preconditionFailure("\(error)")
    }
  }

  /// The frame of such a message.
  static func frame(_ message: Message, stream: UInt64, flags: FrameFlags) -> [UInt8] {
    encoded(message, stream: stream, flags: flags).frames
  }
}

extension ControlConnection.State {
  /// Opens a stream of which the peer is not told yet. Throws `resourceExhausted` when too many are
  /// open, and why the connection is over if it is.
  mutating func open(_ request: Asking) throws(BatonError) -> UInt64 {
    if let closeReason { throw closeReason }
    let stream = try table.open()
    asking[stream] = request
    if case .stream(let buffer) = request.sink { buffers[stream] = buffer }
    addDeadline(request.deadline)
    return stream
  }

  /// Queues the request of a stream that was opened just now.
  ///
  /// Throws `resourceExhausted` when the open requests have too many bytes together.
  mutating func enqueueRequest(
    _ request: EncodedMessage, _ stream: UInt64, _ effects: inout ControlConnection.Effects
  ) throws(BatonError) {
    // Meanwhile cancelled, or the connection is over: whoever waits was told.
    guard asking[stream] != nil else { return }
    guard askingBytes + request.payloadBytes <= TransportLimits.maximumRequestBytes,
      unwrittenBytes + request.frames.count <= TransportLimits.maximumUnwrittenBytes
    else {
      throw BatonError(
        .resourceExhausted,
        "the open requests of this connection have \(askingBytes) bytes, and \(unwrittenBytes) "
          + "wait to be written; with this one they would be more than the "
          + "\(TransportLimits.maximumRequestBytes) and \(TransportLimits.maximumUnwrittenBytes) "
          + "that are allowed")
    }
    askingBytes += request.payloadBytes
    asking[stream]?.requestBytes = request.payloadBytes
    enqueue(request.frames, &effects)
    asking[stream]?.requestEnd = outgoing.appended
  }
}
