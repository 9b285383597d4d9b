package import KVCore

/// All streams of one connection, by id.
///
/// The initiator of the connection opens odd ids, the acceptor even ones from 2 on, each in rising
/// order: an id that is not in the table and not above the last one has ended before, so late
/// frames are known without remembering ended streams. Id 0 belongs to the connection.
package struct StreamTable: ~Copyable {
  /// What came in a message on a stream.
  package enum Arrival: Hashable, Sendable, CaseIterable {
    case message
    case error
    case cancel
    case credit
  }

  /// What to do with what came.
  package enum Reception: Hashable, Sendable {
    /// A request: start what answers it.
    case open
    case known(StreamMachine.Action)
    /// A request that is not taken: answer with the error.
    case refuse(BatonError)
    /// The peer broke the rules: close the connection with the error.
    case violation(BatonError)
  }

  private let side: HandshakeMachine.Side
  private let maximumStreams: Int
  private var streams: [UInt64: StreamMachine] = [:]
  private var nextOwn: UInt64
  private var lastOfPeer: UInt64 = 0
  /// Streams in state `asking`.
  private var askingCount = 0
  /// Streams in state `answering` or `withdrawn`: a peer cannot pile up work by cancelling it.
  private var answeringCount = 0

  /// `maximumStreams` bounds each direction for itself.
  package init(
    side: HandshakeMachine.Side, maximumStreams: Int = Limits.maximumStreamsPerConnection
  ) {
    self.side = side
    self.maximumStreams = maximumStreams
    nextOwn = side == .initiator ? 1 : 2
  }

  package var isEmpty: Bool { streams.isEmpty }

  /// The state of a stream; `closed` for one that is not in the table.
  package func state(of stream: UInt64) -> StreamMachine { streams[stream] ?? .closed }

  /// The id for a request of this side. Throws `resourceExhausted` when too many are open.
  package mutating func open() throws(BatonError) -> UInt64 {
    guard askingCount < maximumStreams else {
      throw BatonError(
        .resourceExhausted,
        "\(askingCount) requests are open on this connection, \(maximumStreams) are allowed")
    }
    let stream = nextOwn
    nextOwn += 2
    streams[stream] = .asking
    askingCount += 1
    return stream
  }

  /// A message of the peer came on `stream`, which is not 0, with these flags.
  package mutating func received(
    _ arrival: Arrival, on stream: UInt64, isResponse: Bool, isLast: Bool
  ) -> Reception {
    let isOwn = stream % 2 == nextOwn % 2
    guard isOwn == isResponse else {
      return .violation(
        BatonError(
          .protocolViolation,
          "a \(isResponse ? "response" : "request") came on stream \(stream), "
            + "which \(isOwn ? "this side" : "the peer") opens"))
    }
    if isOwn {
      guard stream < nextOwn else {
        return .violation(
          BatonError(
            .protocolViolation, "a response came on stream \(stream), which was never opened"))
      }
      switch arrival {
      case .message: return .known(step(stream, isLast ? .lastAnswerReceived : .answerReceived))
      case .error: return .known(step(stream, .errorReceived))
      case .cancel: return .known(step(stream, .cancelReceived))
      case .credit:
        return .violation(
          BatonError(
            .protocolViolation, "a credit came for stream \(stream), which this side asked on"))
      }
    }
    return receivedFromOpener(arrival, on: stream, isLast: isLast)
  }

  private mutating func receivedFromOpener(
    _ arrival: Arrival, on stream: UInt64, isLast: Bool
  ) -> Reception {
    switch arrival {
    case .error, .cancel:
      guard stream <= lastOfPeer else {
        return .violation(
          BatonError(
            .protocolViolation, "stream \(stream) was cancelled, which was never opened"))
      }
      return .known(step(stream, .cancelReceived))
    case .credit:
      // Whether there is something to send is not for the machine to know.
      guard stream <= lastOfPeer else {
        return .violation(
          BatonError(
            .protocolViolation, "a credit came for stream \(stream), which was never opened"))
      }
      return .known(.drop)
    case .message:
      guard stream > lastOfPeer else {
        return .violation(
          BatonError(
            .protocolViolation,
            "a request came on stream \(stream) after one on stream \(lastOfPeer): "
              + "a stream carries one request and ids rise"))
      }
      guard isLast else {
        return .violation(
          BatonError(
            .protocolViolation,
            "the request on stream \(stream) lacks the last flag: requests are one message"))
      }
      lastOfPeer = stream
      guard answeringCount < maximumStreams else {
        return .refuse(
          BatonError(
            .resourceExhausted,
            "\(answeringCount) requests are being answered on this connection, "
              + "\(maximumStreams) are allowed"))
      }
      streams[stream] = .answering
      answeringCount += 1
      return .open
    }
  }

  /// An answer to the peer's request was made here.
  package mutating func answered(_ stream: UInt64, isLast: Bool) -> StreamMachine.Action {
    step(stream, isLast ? .lastAnswerMade : .answerMade)
  }

  /// The answers to the peer's request have had their time: it is told in place of a last one.
  package mutating func expire(_ stream: UInt64) -> StreamMachine.Action { step(stream, .expired) }

  /// What makes the answers to the peer's request has returned.
  package mutating func handlerReturned(_ stream: UInt64) -> StreamMachine.Action {
    step(stream, .handlerReturned)
  }

  /// The answers to this side's request are no longer wanted.
  package mutating func cancel(_ stream: UInt64) -> StreamMachine.Action {
    step(stream, .cancelled)
  }

  /// The connection is lost: all streams end.
  package mutating func closeAll() {
    streams.removeAll()
    askingCount = 0
    answeringCount = 0
  }

  private mutating func step(
    _ stream: UInt64, _ event: StreamMachine.Event
  ) -> StreamMachine.Action {
    guard var machine = streams[stream] else { return .drop }
    count(machine, by: -1)
    let action = machine.on(event)
    count(machine, by: 1)
    streams[stream] = machine == .closed ? nil : machine
    return action
  }

  private mutating func count(_ state: StreamMachine, by change: Int) {
    switch state {
    case .asking: askingCount += change
    case .answering, .withdrawn: answeringCount += change
    case .answered, .closed: break
    }
  }
}
