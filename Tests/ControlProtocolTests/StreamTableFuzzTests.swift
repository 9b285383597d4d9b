import ControlProtocol
import KVCore
import TestSupport
import Testing

/// The table of streams against a model that counts anew after every event.
@Suite("Stream table, fuzzed")
struct StreamTableFuzzTests {
  private static let maximumStreams = 4

  /// What a table should hold.
  private struct Model {
    var streams: [UInt64: StreamMachine] = [:]
    var nextOwn: UInt64
    var lastOfPeer: UInt64 = 0

    var asking: Int { streams.values.count { $0 == .asking } }
    var answering: Int { streams.values.count { $0 == .answering || $0 == .withdrawn } }

    mutating func step(_ stream: UInt64, _ event: StreamMachine.Event) -> StreamMachine.Action {
      guard var machine = streams[stream] else { return .drop }
      let action = machine.on(event)
      streams[stream] = machine == .closed ? nil : machine
      return action
    }

    mutating func received(
      _ arrival: StreamTable.Arrival, on stream: UInt64, isResponse: Bool, isLast: Bool
    ) -> Expectation {
      let isOwn = stream % 2 == nextOwn % 2
      if isOwn != isResponse { return .violation }
      if isOwn {
        if stream >= nextOwn { return .violation }
        switch arrival {
        case .message: return .known(step(stream, isLast ? .lastAnswerReceived : .answerReceived))
        case .error: return .known(step(stream, .errorReceived))
        case .cancel: return .known(step(stream, .cancelReceived))
        case .credit: return .violation
        }
      }
      if arrival != .message {
        if stream > lastOfPeer { return .violation }
        return .known(arrival == .credit ? .drop : step(stream, .cancelReceived))
      }
      if stream <= lastOfPeer || !isLast { return .violation }
      lastOfPeer = stream
      if answering == maximumStreams { return .refuse }
      streams[stream] = .answering
      return .open
    }
  }

  private enum Expectation: Hashable {
    case open
    case known(StreamMachine.Action)
    case refuse
    case violation

    init(_ reception: StreamTable.Reception) {
      switch reception {
      case .open: self = .open
      case .known(let action): self = .known(action)
      case .refuse(let error):
        self = error.code == .resourceExhausted ? .refuse : .violation
      case .violation: self = .violation
      }
    }
  }

  @Test("any events do to the table what they do to a model, and no limit is passed")
  func model() async {
    await Fuzzing("stream tables", inputs: 2_000).run { seed in
      var random = SplitMix64(seed: seed)
      let side: HandshakeMachine.Side = seed % 2 == 0 ? .initiator : .acceptor
      var table = StreamTable(side: side, maximumStreams: Self.maximumStreams)
      var model = Model(nextOwn: side == .initiator ? 1 : 2)
      for _ in 0..<60 {
        let stream = random.next() % 24 + 1
        let (flag, other) = (random.next() % 8 != 0, random.next() % 2 == 0)
        switch random.next() % 6 {
        case 0:
          let opened = try? table.open()
          #expect((opened == nil) == (model.asking == Self.maximumStreams), "seed \(seed)")
          guard let opened else { break }
          #expect(opened == model.nextOwn, "seed \(seed)")
          model.streams[opened] = .asking
          model.nextOwn += 2
        case 1:
          let action = table.answered(stream, isLast: other)
          let expected = model.step(stream, other ? .lastAnswerMade : .answerMade)
          #expect(action == expected, "seed \(seed)")
        case 2:
          let action = table.handlerReturned(stream)
          #expect(action == model.step(stream, .handlerReturned), "seed \(seed)")
        case 3:
          let action = table.cancel(stream)
          #expect(action == model.step(stream, .cancelled), "seed \(seed)")
        default:
          let arrivals = StreamTable.Arrival.allCases
          let arrival = arrivals[Int(random.next() % UInt64(arrivals.count))]
          // Mostly what a peer that keeps to the rules would say.
          let isOwn = stream % 2 == model.nextOwn % 2
          let isResponse = flag ? isOwn : !isOwn
          let reception = table.received(
            arrival, on: stream, isResponse: isResponse, isLast: other || flag)
          let expected = model.received(
            arrival, on: stream, isResponse: isResponse, isLast: other || flag)
          #expect(Expectation(reception) == expected, "seed \(seed)")
        }
        for id in 1...40 as ClosedRange<UInt64> {
          let state = table.state(of: id)
          #expect(state == model.streams[id] ?? .closed, "seed \(seed), stream \(id)")
        }
        #expect(model.answering <= Self.maximumStreams && model.asking <= Self.maximumStreams)
      }
      table.closeAll()
      let isEmpty = table.isEmpty
      #expect(isEmpty, "seed \(seed)")
    }
  }
}
