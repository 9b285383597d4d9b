package import ControlProtocol
internal import ControlWire
package import KVCore
internal import NIOCore
internal import Synchronization

/// One control connection after its handshake. Both sides may ask and answer.
///
/// Stays open until one side closes it, whoever still holds this object. All methods may be called
/// from any thread. Frames that are ready in one turn of the event loop
/// leave in one write.
package final class ControlConnection: Sendable {
  /// What is guarded by the connection's one lock. Continuations, tasks and the event loop are
  /// called after unlocking.
  struct State: ~Copyable {
    var table: StreamTable
    var sinks: [UInt64: AnswerSink] = [:]
    var handlers: [UInt64: Task<Void, Never>] = [:]
    /// Frames that wait for the event loop's next turn.
    var outgoing = ByteBuffer()
    var isFlushScheduled = false
    /// `outgoing` and what the channel has not written yet.
    var unwrittenBytes = 0
    /// Why the connection is over; nil while it is open.
    var closeReason: BatonError?
    var closeWaiters: [AsyncStream<Never>.Continuation] = []
  }

  package let remote: Hello
  package let remoteInfo: PeerInfo

  let handler: any ControlHandler
  let channel: any Channel
  let state: Mutex<State>
  /// Held from the choice of a stream's id until its request is queued: ids must rise on the wire.
  /// Only those who ask wait for each other here.
  private let opening = Mutex(())

  init(
    side: HandshakeMachine.Side, outcome: HandshakeMachine.Outcome,
    handler: any ControlHandler, channel: any Channel
  ) {
    remote = outcome.hello
    remoteInfo = outcome.info
    self.handler = handler
    self.channel = channel
    state = Mutex(State(table: StreamTable(side: side)))
  }

  /// Asks and waits for the one answer.
  ///
  /// Throws the peer's error, `peerGone` when the connection is lost, `resourceExhausted` when too
  /// many requests are open, `invalidArgument` for a message that is too large, and
  /// `CancellationError` when the calling task is cancelled, which cancels the request at the peer.
  package func request(_ message: Message) async throws -> Message {
    let pending = PendingAnswer()
    let stream = try open(message, .single(pending))
    return try await withTaskCancellationHandler {
      try await pending.value()
    } onCancel: {
      cancel(stream, because: CancellationError())
    }
  }

  /// As `request`, and throws `deadlineExceeded` when no answer has come within `limit`, which
  /// cancels the request at the peer.
  package func request(_ message: Message, within limit: Duration) async throws -> Message {
    try await withThrowingTaskGroup(of: Message?.self) { group in
      defer { group.cancelAll() }
      group.addTask { try await self.request(message) }
      group.addTask {
        try await Task.sleep(for: limit)
        return nil
      }
      guard let answer = try await group.next() ?? nil else {
        throw BatonError(.deadlineExceeded, "\(remote.engine) did not answer within \(limit)")
      }
      return answer
    }
  }

  /// Asks for answers that come one by one. Throws as `request` does, before anything is sent.
  package func stream(_ message: Message) throws(BatonError) -> MessageStream {
    let (base, continuation) = AsyncThrowingStream.makeStream(
      of: Message.self, throwing: (any Error).self,
      bufferingPolicy: .bufferingOldest(TransportLimits.maximumUnreadAnswers))
    let stream = try open(message, .stream(continuation))
    continuation.onTermination = { [weak self] reason in
      guard case .cancelled = reason else { return }
      self?.cancel(stream, because: CancellationError())
    }
    return MessageStream(base: base)
  }

  /// False from the moment on when the connection is lost or closed.
  package var isOpen: Bool { state.withLock { $0.closeReason == nil } }

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
      tellingPeer: false)
  }

  private func open(_ message: Message, _ sink: AnswerSink) throws(BatonError) -> UInt64 {
    let (stream, departure) = try opening.withLock { _ throws(BatonError) in
      let stream = try state.withLock { state throws(BatonError) in
        if let reason = state.closeReason { throw reason }
        let stream = try state.table.open()
        state.sinks[stream] = sink
        return stream
      }
      do throws(BatonError) {
        let frames = try FrameEncoder.encode(message, stream: stream, flags: .last)
        return (stream, state.withLock { $0.enqueue(frames) })
      } catch {
        forget(stream)
        throw error
      }
    }
    apply(departure)
    return stream
  }

  /// Ends a stream of which the peer was never told.
  private func forget(_ stream: UInt64) {
    state.withLock { state in
      _ = state.table.cancel(stream)
      state.sinks[stream] = nil
    }
  }

  /// Ends a stream of this side whose answers nobody wants any more.
  func cancel(_ stream: UInt64, because error: any Error) {
    let sink: AnswerSink? = state.withLock { state in
      guard state.table.cancel(stream) == .sendCancel else { return nil }
      return state.sinks.removeValue(forKey: stream)
    }
    guard let sink else { return }
    enqueue(Self.frame(.cancel, stream: stream, flags: .last))
    sink.fail(error)
  }

  /// The frame of a message that always fits one.
  static func frame(_ message: Message, stream: UInt64, flags: FrameFlags) -> [UInt8] {
    do throws(BatonError) {
      return try FrameEncoder.encode(message, stream: stream, flags: flags)
    } catch {
      preconditionFailure("\(error)")
    }
  }
}
