internal import ControlProtocol
internal import ControlWire
internal import KVCore
internal import NIOCore
internal import Synchronization

extension ControlConnection.State {
  /// What to do after unlocking, so that queued frames leave.
  enum Departure: Sendable {
    case nothing
    case scheduleFlush
    /// The peer does not read: end the connection.
    case overflow
  }

  mutating func enqueue(_ frames: [UInt8]) -> Departure {
    guard closeReason == nil else { return .nothing }
    guard unwrittenBytes + frames.count <= TransportLimits.maximumUnwrittenBytes else {
      return .overflow
    }
    unwrittenBytes += frames.count
    outgoing.writeBytes(frames)
    guard !isFlushScheduled else { return .nothing }
    isFlushScheduled = true
    return .scheduleFlush
  }
}

/// Frames on their way to the socket, and the end of the connection.
extension ControlConnection {
  /// Queues frames; they leave in the event loop's next turn with all others queued till then.
  func enqueue(_ frames: [UInt8]) {
    apply(state.withLock { $0.enqueue(frames) })
  }

  func apply(_ departure: State.Departure) {
    switch departure {
    case .nothing: break
    case .scheduleFlush: channel.eventLoop.execute { self.flush() }
    case .overflow:
      end(
        because: BatonError(
          .resourceExhausted,
          "\(remote.engine) left more than \(TransportLimits.maximumUnwrittenBytes) bytes unread"),
        tellingPeer: false)
      channel.close(promise: nil)
    }
  }

  private func flush() {
    let (buffer, isLast) = state.withLock { state in
      let buffer = state.outgoing
      state.outgoing = ByteBuffer()
      state.isFlushScheduled = false
      return (buffer, state.closeReason != nil)
    }
    channel.writeAndFlush(buffer).whenComplete { _ in
      self.state.withLock { $0.unwrittenBytes -= buffer.readableBytes }
      if isLast { self.channel.close(mode: .output, promise: nil) }
    }
    if isLast { channel.closeAfterLinger() }
  }

  /// Ends the connection for a reason of this side's; the peer gets it as an `Error` if told.
  func end(because reason: BatonError, tellingPeer: Bool) {
    let isFirst = finish(because: reason) { state in
      guard tellingPeer else { return }
      state.outgoing.writeBytes(
        ControlConnection.frame(.error(reason), stream: 0, flags: .last))
    }
    if isFirst { channel.eventLoop.execute { self.flush() } }
  }

  /// The socket is gone.
  func lost(because reason: BatonError) {
    _ = finish(because: reason) { _ in }
  }

  /// Fails everything that waits, once. Returns false if the connection was over before.
  ///
  /// What waits has no part in why the connection is over: to it the peer is gone, and another one
  /// may answer. Only what this side has closed itself is cancelled.
  private func finish(
    because cause: BatonError, _ sayGoodbye: (inout State) -> Void
  ) -> Bool {
    let reason = cause.code == .cancelled ? cause : BatonError(.peerGone, cause.message)
    var sinks: [AnswerSink] = []
    var handlers: [Task<Void, Never>] = []
    var waiters: [AsyncStream<Never>.Continuation] = []
    let isFirst = state.withLock { state in
      guard state.closeReason == nil else { return false }
      sayGoodbye(&state)
      state.closeReason = reason
      state.table.closeAll()
      sinks = Array(state.sinks.values)
      handlers = Array(state.handlers.values)
      waiters = state.closeWaiters
      state.sinks = [:]
      state.handlers = [:]
      state.closeWaiters = []
      return true
    }
    for handler in handlers { handler.cancel() }
    for sink in sinks { sink.fail(reason) }
    for waiter in waiters { waiter.finish() }
    if isFirst { handler.connectionClosed(self) }
    return isFirst
  }
}

extension Channel {
  /// Closes when the peer has, or some time later if it does not.
  func closeAfterLinger() {
    let deadline = eventLoop.scheduleTask(
      in: .milliseconds(TransportLimits.lingerMilliseconds)
    ) { self.close(promise: nil) }
    closeFuture.whenComplete { _ in deadline.cancel() }
  }
}
