internal import ControlProtocol
internal import ControlWire
internal import KVCore
internal import NIOCore

/// A request of this side that is not answered to its end.
struct Asking: Sendable {
  let sink: AnswerSink
  let deadline: ContinuousClock.Instant
  /// What the request takes of `TransportLimits.maximumRequestBytes`.
  var requestBytes = 0
  /// The place in `OutgoingFrames` behind the request; nil until it is queued.
  var requestEnd: UInt64?
  var credit = ReceiveCredit()

  init(sink: AnswerSink, deadline: ContinuousClock.Instant) {
    self.sink = sink
    self.deadline = deadline
  }
}

/// A ping that has no pong yet.
struct Pinging: Sendable {
  let answer: PendingAnswer
  let deadline: ContinuousClock.Instant
}

/// A request of the peer, until its handler has returned and all answers have left.
struct Answering: Sendable {
  /// Answers that were made and have no credit yet.
  struct Waiting: Sendable {
    let frames: [UInt8]
    let cost: Int
  }

  let deadline: ContinuousClock.Instant
  /// What the request takes of `TransportLimits.maximumRequestBytes`.
  let requestBytes: Int
  /// Whether answers may still be made: the handler has not returned yet or, of what it accepted,
  /// the last one has not been made.
  var isHandled = true
  /// Whether the handler answers in a task.
  var hasTask = false
  /// Nil until it is known here, which may be after its first answers.
  var handler: Task<Void, Never>?
  var credit = SendCredit()
  /// Nil until something waits, which on most streams nothing does.
  private var waiting: CircularBuffer<Waiting>?
  /// Bytes of the frames in `waiting`.
  var waitingBytes = 0
  /// Resumed when nothing waits any more.
  var drained: [CheckedContinuation<Void, Never>] = []

  init(deadline: ContinuousClock.Instant, requestBytes: Int) {
    self.deadline = deadline
    self.requestBytes = requestBytes
  }

  /// Whether answers wait for credit.
  var hasWaiting: Bool { waiting?.isEmpty == false }

  /// Whether a message of this cost may leave at once; its credit is then spent.
  mutating func spend(_ cost: Int) -> Bool {
    guard !hasWaiting, credit.mayBegin else { return false }
    credit.spend(cost)
    return true
  }

  mutating func wait(_ frames: [UInt8], cost: Int) {
    if waiting == nil { waiting = CircularBuffer(initialCapacity: 1) }
    waiting?.append(Waiting(frames: frames, cost: cost))
    waitingBytes += frames.count
  }

  /// The next of what waits, if it may leave now.
  mutating func takeReady() -> [UInt8]? {
    guard credit.mayBegin, let next = waiting?.popFirst() else { return nil }
    credit.spend(next.cost)
    waitingBytes -= next.frames.count
    return next.frames
  }

  /// Tells who waits for room once there is; true when nothing happens on the stream any more.
  mutating func settle(_ resumed: inout [CheckedContinuation<Void, Never>]) -> Bool {
    guard !hasWaiting else { return false }
    if !drained.isEmpty {
      resumed += drained
      drained = []
    }
    return !isHandled
  }

  /// Forgets what waits; returns its bytes.
  mutating func dropWaiting() -> Int {
    waiting = nil
    defer { waitingBytes = 0 }
    return waitingBytes
  }
}

extension ControlConnection {
  /// What is guarded by the connection's one lock. Continuations, tasks and the event loop are
  /// called after unlocking.
  struct State: ~Copyable {
    var table: StreamTable
    var asking: [UInt64: Asking] = [:]
    var answering: [UInt64: Answering] = [:]
    /// The sums of `requestBytes`.
    var askingBytes = 0
    var answeringBytes = 0
    /// The sum of `waitingBytes`.
    var waitingBytes = 0
    /// Of the streams of this side, until nobody reads them: they may have ended before that.
    var buffers: [UInt64: AnswerBuffer] = [:]
    /// What is in them.
    var unreadBytes = 0
    var outgoing = OutgoingFrames()
    /// Frames leave, or will: in the event loop's next turn, or when what has come is taken.
    var isFlushing = false
    /// `outgoing` and what the channel has not written yet.
    var unwrittenBytes = 0
    /// What the channel was given and has not written yet.
    var givenBytes = 0
    /// No deadline of a request comes before this; nil where there is none.
    var firstDeadline: ContinuousClock.Instant?
    /// Why the connection is over; nil while it is open.
    var closeReason: BatonError?
    var closeWaiters: [AsyncStream<Never>.Continuation] = []
    /// Who waits for a pong, by the ping's number.
    var pings: [UInt64: Pinging] = [:]
    /// The numbers of the pings that watch the peer are smaller.
    var nextPing: UInt64 = 1 << 32

    init(table: consuming StreamTable) { self.table = table }
  }

  /// What is to be done after unlocking, in this order.
  struct Effects: Sendable {
    struct Answer: Sendable {
      let sink: AnswerSink
      let message: Message
      let cost: Int
      let isLast: Bool
    }

    /// A handler to be started.
    var request: (message: Message, stream: UInt64, deadline: ContinuousClock.Instant)?
    /// For who reads it.
    var answer: Answer?
    /// Who gets an error in place of what they still wait for.
    var failures: [(AnswerSink, any Error)] = []
    var stopped: [Task<Void, Never>] = []
    var resumed: [CheckedContinuation<Void, Never>] = []
    var flushes = false
    /// The peer does not read: end the connection.
    var overflows = false
  }
}

extension ControlConnection.State {
  // MARK: Frames

  /// Queues frames behind all others.
  mutating func enqueue(_ frames: [UInt8], _ effects: inout ControlConnection.Effects) {
    guard leaves(frames, &effects) else { return }
    outgoing.append(frames)
  }

  /// Queues frames that nothing may delay.
  mutating func enqueueUrgent(_ frames: [UInt8], _ effects: inout ControlConnection.Effects) {
    guard outgoing.urgentBytes + frames.count <= TransportLimits.maximumUrgentBytes else {
      effects.overflows = true
      return
    }
    guard leaves(frames, &effects) else { return }
    outgoing.appendUrgent(frames)
  }

  private mutating func leaves(
    _ frames: [UInt8], _ effects: inout ControlConnection.Effects
  ) -> Bool {
    guard closeReason == nil else { return false }
    guard unwrittenBytes + frames.count <= TransportLimits.maximumUnwrittenBytes else {
      effects.overflows = true
      return false
    }
    unwrittenBytes += frames.count
    if !isFlushing {
      isFlushing = true
      effects.flushes = true
    }
    return true
  }

  // MARK: Requests of this side

  /// Sends a ping. Throws why the connection is over if it is.
  mutating func ping(
    _ pinging: Pinging, _ effects: inout ControlConnection.Effects
  ) throws(BatonError) {
    if let closeReason { throw closeReason }
    pings[nextPing] = pinging
    addDeadline(pinging.deadline)
    enqueueUrgent(
      ControlConnection.frame(.ping(nextPing), stream: 0, flags: .last), &effects)
    nextPing += 1
  }

  mutating func addDeadline(_ deadline: ContinuousClock.Instant) {
    firstDeadline = firstDeadline.map { min($0, deadline) } ?? deadline
  }

  mutating func removeAsking(_ stream: UInt64) -> Asking? {
    guard let asking = asking.removeValue(forKey: stream) else { return nil }
    askingBytes -= asking.requestBytes
    return asking
  }

  /// Ends a request whose answers nobody wants any more.
  mutating func cancel(
    _ stream: UInt64, because error: any Error, _ effects: inout ControlConnection.Effects
  ) {
    guard table.cancel(stream) == .sendCancel, let asking = removeAsking(stream) else { return }
    effects.failures.append((asking.sink, error))
    let frame = ControlConnection.frame(.cancel, stream: stream, flags: .last)
    // Of a request that is not queued yet, and never will be, the peer has nothing to hear.
    guard let requestEnd = asking.requestEnd else { return }
    // A cancel must not overtake its own request.
    if requestEnd <= outgoing.given {
      enqueueUrgent(frame, &effects)
    } else {
      enqueue(frame, &effects)
    }
  }

  // MARK: Answers to the peer

  /// Sends an answer of a stream that the machine lets send, or keeps it until there is credit.
  mutating func send(
    _ message: EncodedMessage, on stream: UInt64, _ effects: inout ControlConnection.Effects
  ) {
    guard let index = answering.index(forKey: stream) else { return }
    let cost = StreamCredit.cost(payloadBytes: message.payloadBytes)
    if answering.values[index].spend(cost) { return enqueue(message.frames, &effects) }
    answering.values[index].wait(message.frames, cost: cost)
    waitingBytes += message.frames.count
    while waitingBytes > TransportLimits.maximumWaitingBytes {
      let most = answering.max { $0.value.waitingBytes < $1.value.waitingBytes }
      guard let most else { break }
      fail(
        most.key,
        BatonError(
          .resourceExhausted, "answers are read so slowly that too many wait on the connection"),
        &effects)
    }
  }

  /// Ends a stream with an error in place of what waits.
  mutating func sendError(
    _ error: EncodedMessage, on stream: UInt64, _ effects: inout ControlConnection.Effects
  ) {
    guard let index = answering.index(forKey: stream) else { return }
    waitingBytes -= answering.values[index].dropWaiting()
    enqueue(error.frames, &effects)
    settle(stream, &effects)
  }

  /// Ends the answers of a stream with an error of the connection's, and stops what makes them.
  mutating func fail(
    _ stream: UInt64, _ error: BatonError, _ effects: inout ControlConnection.Effects
  ) {
    _ = table.expire(stream)
    if let handler = answering[stream]?.handler { effects.stopped.append(handler) }
    let frame = ControlConnection.encoded(
      .error(error), stream: stream, flags: .lastResponse)
    sendError(frame, on: stream, &effects)
  }

  /// The peer has made room for answers.
  mutating func grant(
    _ bytes: UInt32, on stream: UInt64, _ effects: inout ControlConnection.Effects
  ) throws(BatonError) {
    guard let index = answering.index(forKey: stream) else { return }
    try answering.values[index].credit.grant(bytes)
    while let frames = answering.values[index].takeReady() {
      waitingBytes -= frames.count
      enqueue(frames, &effects)
    }
    settle(stream, &effects)
  }

  /// The peer wants no more answers.
  mutating func withdraw(
    _ stream: UInt64, stopping: Bool, _ effects: inout ControlConnection.Effects
  ) {
    guard let index = answering.index(forKey: stream) else { return }
    waitingBytes -= answering.values[index].dropWaiting()
    if stopping, let handler = answering.values[index].handler { effects.stopped.append(handler) }
    settle(stream, &effects)
  }

  /// No more answers of a stream will be made.
  mutating func handlerReturned(
    _ stream: UInt64, _ effects: inout ControlConnection.Effects
  ) {
    if let index = answering.index(forKey: stream) { answering.values[index].isHandled = false }
    guard table.handlerReturned(stream) == .sendMissingAnswer else {
      return settle(stream, &effects)
    }
    let error = BatonError(.internalError, "the request was not answered to its end")
    sendError(
      ControlConnection.encoded(.error(error), stream: stream, flags: .lastResponse), on: stream,
      &effects)
  }

  /// Tells who waits for room, and forgets a stream on which nothing happens any more.
  mutating func settle(_ stream: UInt64, _ effects: inout ControlConnection.Effects) {
    guard let index = answering.index(forKey: stream),
      answering.values[index].settle(&effects.resumed)
    else { return }
    answeringBytes -= answering.remove(at: index).value.requestBytes
  }
}
