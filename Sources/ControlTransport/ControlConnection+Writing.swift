internal import ControlProtocol
internal import ControlWire
package import KVCore
internal import NIOCore
internal import Synchronization

/// Frames on their way to the socket, deadlines, and the end of the connection.
extension ControlConnection {
  /// Queues frames; they leave in the event loop's next turn with all others queued till then.
  func enqueue(_ frames: [UInt8], isUrgent: Bool = false) {
    var effects = Effects()
    state.withLock { state in
      isUrgent ? state.enqueueUrgent(frames, &effects) : state.enqueue(frames, &effects)
    }
    perform(effects)
  }

  /// Keeps what is queued from now on until `flush` is called, so that it leaves in one write.
  ///
  /// False if frames leave already: `flush` is then not to be called. On the event loop.
  func gatherFrames() -> Bool {
    state.withLock { state in
      defer { state.isFlushing = true }
      return !state.isFlushing
    }
  }

  /// Gives the socket what waits, one write after the other. On the event loop.
  func flush() {
    let (buffer, isOver) = state.withLock { state in
      let buffer = state.outgoing.take()
      if buffer == nil { state.isFlushing = false }
      state.givenBytes = buffer?.readableBytes ?? 0
      return (buffer, state.closeReason != nil)
    }
    guard let buffer else {
      if isOver {
        channel.close(mode: .output, promise: nil)
        channel.closeAfterLinger()
      }
      return
    }
    channel.writeAndFlush(buffer, promise: nil)
  }

  /// The socket has taken all that it was given. What it cannot be given shows as the end of the
  /// channel. On the event loop.
  func wasWritten() {
    let goesOn = state.withLock { state in
      // What the channel wrote was of the handshake.
      guard state.givenBytes > 0 else { return false }
      state.unwrittenBytes -= state.givenBytes
      state.givenBytes = 0
      state.isFlushing = !state.outgoing.isEmpty || state.closeReason != nil
      return state.isFlushing
    }
    // In the loop's next turn, so that what comes in is read meanwhile, and what is made leaves
    // together.
    if goesOn { channel.eventLoop.execute { self.flush() } }
  }

  /// Ends what has taken too long. On the event loop, now and then.
  func expire(now: ContinuousClock.Instant) {
    var effects = Effects()
    state.withLock { state in
      guard let first = state.firstDeadline, first <= now else { return }
      for (stream, asking) in state.asking where asking.deadline <= now {
        let error = BatonError(
          .deadlineExceeded, "\(remote.engine) did not answer to the end in the time it had")
        state.cancel(stream, because: error, &effects)
      }
      for (stream, answering) in state.answering
      where answering.deadline <= now && state.table.state(of: stream) == .answering {
        state.fail(
          stream, BatonError(.deadlineExceeded, "the request was not answered in its time"),
          &effects)
      }
      for (number, ping) in state.pings where ping.deadline <= now {
        state.pings[number] = nil
        let error = BatonError(
          .deadlineExceeded, "\(remote.engine) sent no pong in the time it had")
        effects.failures.append((.single(ping.answer), error))
      }
      let open = state.answering.filter { $0.value.deadline > now }.map(\.value.deadline)
      state.firstDeadline =
        (state.asking.values.map(\.deadline) + state.pings.values.map(\.deadline) + open).min()
    }
    perform(effects)
  }

  /// Ends the connection for a reason of this side's; the peer gets it as an `Error` if told.
  ///
  /// - Parameter isOwnWish: nothing is wrong; what waits fails with the reason itself.
  func end(because reason: BatonError, tellingPeer: Bool, isOwnWish: Bool = false) {
    let isFirst = finish(because: reason, isOwnWish: isOwnWish) { state in
      guard tellingPeer else { return }
      let frame = ControlConnection.frame(.error(reason), stream: 0, flags: .last)
      state.unwrittenBytes += frame.count
      state.outgoing.appendUrgent(frame)
    }
    guard isFirst else { return }
    channel.eventLoop.execute {
      // A peer that does not read must not keep it open.
      self.channel.closeAfterLinger(.milliseconds(TransportLimits.farewellMilliseconds))
      if self.gatherFrames() { self.flush() }
    }
  }

  /// The peer is gone, as this side knows from elsewhere: ends the connection without waiting for
  /// the socket to say so. What waits fails with `peerGone`.
  package func abandon(because reason: BatonError) {
    // On the event loop, as the end of a connection always is: who knows must not be held up.
    channel.eventLoop.execute {
      self.lost(because: reason)
      self.channel.close(promise: nil)
    }
  }

  /// The socket is gone.
  func lost(because reason: BatonError) {
    _ = finish(because: reason, isOwnWish: false) { _ in }
  }

  /// Fails everything that waits, once. Returns false if the connection was over before.
  ///
  /// What waits has no part in why the connection is over: to it the peer is gone, and another one
  /// may answer. Only what this side has closed itself is cancelled.
  private func finish(
    because cause: BatonError, isOwnWish: Bool, _ sayGoodbye: (inout State) -> Void
  ) -> Bool {
    let reason = isOwnWish ? cause : BatonError(.peerGone, cause.message)
    var effects = Effects()
    var waiters: [AsyncStream<Never>.Continuation] = []
    let isFirst = state.withLock { state in
      guard state.closeReason == nil else { return false }
      sayGoodbye(&state)
      state.closeReason = reason
      state.table.closeAll()
      for asking in state.asking.values { effects.failures.append((asking.sink, reason)) }
      for answering in state.answering.values {
        if let handler = answering.handler { effects.stopped.append(handler) }
        effects.resumed += answering.drained
      }
      for ping in state.pings.values { effects.failures.append((.single(ping.answer), reason)) }
      waiters = state.closeWaiters
      state.asking = [:]
      state.answering = [:]
      state.pings = [:]
      state.closeWaiters = []
      return true
    }
    perform(effects)
    for waiter in waiters { waiter.finish() }
    if isFirst { handler.connectionClosed(self) }
    return isFirst
  }
}

extension Channel {
  /// Closes when the peer has, or some time later if it does not.
  func closeAfterLinger(
    _ time: TimeAmount = .milliseconds(TransportLimits.lingerMilliseconds)
  ) {
    let deadline = eventLoop.scheduleTask(in: time) { self.close(promise: nil) }
    closeFuture.whenComplete { _ in deadline.cancel() }
  }
}
