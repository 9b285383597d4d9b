internal import ControlProtocol
internal import ControlWire
internal import KVCore
internal import Logging
internal import NIOCore

/// The one handler of a connection's channel: bytes to messages, for the handshake and then for the
/// connection.
final class FrameHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private enum Phase {
    case handshaking
    case open(ControlConnection)
    /// What still comes is not read: the peer has been told why.
    case closing
  }

  private let side: HandshakeMachine.Side
  private let handler: any ControlHandler
  private let logger: Logger
  /// Resolved when the handshake is over, one way or the other.
  private let opened: EventLoopPromise<ControlConnection>
  /// A reason to refuse the connection whatever the peer says.
  private let refusal: BatonError?
  private let handshakeTimeout: Duration
  private let options: ControlOptions
  private let features: [String]
  private var decoder = FrameDecoder(limits: .handshake)
  private var handshake: HandshakeMachine
  private var phase = Phase.handshaking
  /// Told when what it has given the channel is written.
  private var writer: ControlConnection?
  /// The connection whose frames wait until all messages that have come are taken.
  private var gathering: ControlConnection?
  private var deadline: Scheduled<Void>?
  private var liveness: PeerLiveness?
  private let begun = ContinuousClock.now
  private var steps: [HandshakeStep] = []
  private var ticks: Scheduled<Void>?

  /// - Parameter isLocal: whether the peer is on this machine.
  init(
    side: HandshakeMachine.Side, identity: LocalIdentity, isLocal: Bool,
    handler: any ControlHandler, logger: Logger, opened: EventLoopPromise<ControlConnection>,
    handshakeTimeout: Duration, refusal: BatonError? = nil
  ) {
    self.side = side
    self.handler = handler
    self.logger = logger
    self.opened = opened
    self.refusal = refusal
    self.handshakeTimeout = handshakeTimeout
    options = identity.options
    let hello = identity.hello(isLocal: isLocal)
    features = hello.features
    handshake = HandshakeMachine(
      side: side, hello: hello, helloPayload: MessageCodec.payload(of: .hello(hello)),
      info: identity.info, keys: options.keys)
  }

  /// The channel tells when it has written all that it was given: it is then writable again, with
  /// this mark, and a promise for each write costs more.
  func handlerAdded(context: ChannelHandlerContext) {
    let isSet: Void? = try? context.channel.syncOptions?.setOption(
      .writeBufferWaterMark, value: .init(low: 1, high: 1))
    if isSet == nil { context.close(promise: nil) }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable { writer?.wasWritten() }
  }

  func channelActive(context: ChannelHandlerContext) {
    if let refusal { return refuse(refusal, tellingPeer: true, context) }
    let timeout = handshakeTimeout
    deadline = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(timeout)) {
      self.refuse(
        BatonError(.deadlineExceeded, "the handshake was not over after \(timeout)"),
        tellingPeer: true, context)
    }
    record("connected")
    act(on: handshake.start(), context)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if case .closing = phase { return }
    let buffer = unwrapInboundIn(data)
    decoder.feed(buffer.readableBytesUInt8Span)
    var completes = false
    var filled: [AnswerBuffer] = []
    // Readers hear of all that came at once.
    defer { for buffer in filled { buffer.wake() } }
    do throws(BatonError) {
      while let received = try nextMessage() {
        completes = true
        switch phase {
        case .handshaking: try receiveHandshake(received, context)
        case .open(let connection):
          if received.header.stream == 0, case .success(.error(let error)) = received.content {
            return refuse(error, tellingPeer: false, context)
          }
          gatherFrames(of: connection)
          let buffer = try connection.receive(received.header, received.content)
          if let buffer, buffer !== filled.last { filled.append(buffer) }
        case .closing: return
        }
      }
      liveness?.received(
        completes: completes, leavesPart: decoder.isInsideFrame,
        leavesMessages: decoder.hasUnfinishedMessages, now: .now)
    } catch {
      refuse(error, tellingPeer: true, context)
    }
  }

  /// What is sent while messages are taken leaves in one write, when all that have come are taken.
  private func gatherFrames(of connection: ControlConnection) {
    if gathering == nil, connection.gatherFrames() { gathering = connection }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    guard let connection = gathering else { return }
    gathering = nil
    connection.flush()
  }

  /// Watches the peer of an open connection, and the deadlines of what was asked.
  private func watch(_ connection: ControlConnection, _ context: ChannelHandlerContext) {
    let liveness = PeerLiveness(
      timeout: options.peerTimeout,
      frameTimeout: .milliseconds(TransportLimits.frameMilliseconds),
      messageTimeout: .milliseconds(TransportLimits.messageMilliseconds),
      longestInterval: .milliseconds(TransportLimits.tickMilliseconds), now: .now)
    self.liveness = liveness
    scheduleTick(in: liveness.interval, connection, context)
  }

  private func scheduleTick(
    in interval: Duration, _ connection: ControlConnection, _ context: ChannelHandlerContext
  ) {
    ticks = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(interval)) {
      self.tick(connection, context)
      if case .open = self.phase { self.scheduleTick(in: interval, connection, context) }
    }
  }

  private func tick(_ connection: ControlConnection, _ context: ChannelHandlerContext) {
    let now = ContinuousClock.now
    connection.expire(now: now)
    switch liveness?.tick(now: now) {
    case .ping(let number):
      connection.enqueue(
        ControlConnection.frame(.ping(number), stream: 0, flags: .last), isUrgent: true)
    case .gone(let silence):
      refuse(
        BatonError(
          .peerGone,
          "\(connection.remote.engine) has said nothing for \(silence.wholeMilliseconds) ms"),
        tellingPeer: true, context)
    case .unfinished(let time):
      refuse(
        BatonError(
          .deadlineExceeded,
          "a frame or message is not whole \(time.wholeMilliseconds) ms after it began"),
        tellingPeer: true, context)
    case .nothing, nil: break
    }
  }

  /// The next message, and its payload while the handshake may have to prove it.
  private func nextMessage() throws(BatonError) -> ReceivedMessage? {
    let isHandshaking = if case .handshaking = phase { true } else { false }
    return try decoder.nextMessage(keepsPayload: isHandshaking)
  }

  private func receiveHandshake(
    _ received: ReceivedMessage, _ context: ChannelHandlerContext
  ) throws(BatonError) {
    let header = received.header
    guard header.stream == 0 else {
      throw BatonError(
        .protocolViolation, "stream \(header.stream) was used before the handshake was over")
    }
    let message = try received.content.get()
    let flags: FrameFlags = side == .initiator ? .lastResponse : .last
    if case .error = message {
      // Ends the connection whoever sends it.
    } else if header.flags != flags {
      throw BatonError(
        .protocolViolation,
        "a message of the handshake has flags \(header.flags.rawValue), not \(flags.rawValue)")
    }
    record("\(MessageType(rawValue: header.type) ?? .error)")
    act(on: handshake.received(message, payload: received.payload), context)
  }

  private func record(_ name: String) {
    steps.append(HandshakeStep(name: name, time: ContinuousClock.now - begun))
  }

  private func act(on action: HandshakeMachine.Action, _ context: ChannelHandlerContext) {
    switch action {
    case .wait: break
    case .send(let message): write(message, context)
    case .refuse(let error, let message): refuse(error, tellingPeer: message != nil, context)
    case .complete(let outcome, let message):
      if let message { write(message, context) }
      // Writing what does not fit a frame of the handshake has refused the connection.
      guard case .handshaking = phase else { return }
      deadline?.cancel()
      let zstd = HandshakeMachine.Feature.zstd
      let compresses = features.contains(zstd) && outcome.hello.features.contains(zstd)
      decoder.limits = compresses ? .compressed : .established
      let connection = ControlConnection(
        side: side, outcome: outcome, limits: decoder.limits, handler: handler,
        channel: context.channel, handshakeSteps: steps)
      phase = .open(connection)
      writer = connection
      watch(connection, context)
      logger.debug(
        "connection opened",
        metadata: ["peer": "\(outcome.hello.engine)", "role": "\(outcome.hello.role)"])
      opened.succeed(connection)
    }
  }

  /// Sends a message of the handshake.
  private func write(_ message: Message, _ context: ChannelHandlerContext) {
    do throws(BatonError) {
      let frame = try FrameEncoder.encode(
        message, stream: 0, flags: side == .initiator ? .last : .lastResponse,
        limits: .handshake)
      context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: frame.frames)), promise: nil)
    } catch {
      refuse(error, tellingPeer: true, context)
    }
  }

  /// Ends the connection, in the handshake or later.
  private func refuse(_ error: BatonError, tellingPeer: Bool, _ context: ChannelHandlerContext) {
    deadline?.cancel()
    ticks?.cancel()
    let before = phase
    phase = .closing
    switch before {
    case .closing: break
    case .open(let connection):
      logger.warning(
        "connection closed", metadata: ["peer": "\(connection.remote.engine)", "error": "\(error)"])
      connection.end(because: error, tellingPeer: tellingPeer)
    case .handshaking:
      opened.fail(error)
      let channel = context.channel
      channel.closeAfterLinger()
      guard tellingPeer else { return channel.close(mode: .output, promise: nil) }
      let frame = ControlConnection.frame(.error(error), stream: 0, flags: .last)
      channel.writeAndFlush(ByteBuffer(bytes: frame)).whenComplete { _ in
        channel.close(mode: .output, promise: nil)
      }
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    deadline?.cancel()
    ticks?.cancel()
    writer = nil
    let before = phase
    phase = .closing
    switch before {
    case .closing: break
    case .handshaking:
      opened.fail(
        BatonError(.peerGone, "the peer closed the connection before the handshake was over"))
    case .open(let connection):
      connection.lost(
        because: BatonError(.peerGone, "the connection with \(connection.remote.engine) is lost"))
    }
  }

  /// Errors of the socket, such as a reset: closing leads to `channelInactive`.
  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }
}
