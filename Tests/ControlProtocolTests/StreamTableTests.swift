import ControlProtocol
import KVCore
import Testing

@Suite("Stream table")
struct StreamTableTests {
  private static func isViolation(_ reception: StreamTable.Reception) -> Bool {
    guard case .violation(let error) = reception else { return false }
    return error.code == .protocolViolation
  }

  @Test("the initiator opens odd ids and the acceptor even ones, rising")
  func ids() throws {
    var initiator = StreamTable(side: .initiator)
    var acceptor = StreamTable(side: .acceptor)
    #expect(try [initiator.open(), initiator.open(), initiator.open()] == [1, 3, 5])
    #expect(try [acceptor.open(), acceptor.open(), acceptor.open()] == [2, 4, 6])
  }

  @Test("answers reach who asked until the last; later ones are dropped")
  func answers() throws {
    var table = StreamTable(side: .initiator)
    let stream = try table.open()
    func receive(
      _ table: inout StreamTable, _ arrival: StreamTable.Arrival, last: Bool
    ) -> StreamTable.Reception {
      table.received(arrival, on: stream, isResponse: true, isLast: last)
    }
    #expect(receive(&table, .message, last: false) == .known(.deliver))
    #expect(receive(&table, .message, last: true) == .known(.deliverLast))
    for arrival in StreamTable.Arrival.allCases where arrival != .credit {
      #expect(receive(&table, arrival, last: true) == .known(.drop))
    }
    guard case .violation = receive(&table, .credit, last: false) else {
      Issue.record("who answers gave credit")
      return
    }
    let isEmpty = table.isEmpty
    #expect(isEmpty)
  }

  @Test("after a cancel late answers are dropped, and a second cancel sends nothing")
  func lateAnswers() throws {
    var table = StreamTable(side: .acceptor)
    let stream = try table.open()
    #expect(table.cancel(stream) == .sendCancel)
    #expect(table.cancel(stream) == .drop)
    #expect(
      table.received(.message, on: stream, isResponse: true, isLast: true) == .known(.drop))
    #expect(table.received(.error, on: stream, isResponse: true, isLast: true) == .known(.drop))
  }

  @Test("a request is open until it is answered and its handler has returned")
  func requests() {
    var table = StreamTable(side: .acceptor)
    #expect(table.received(.message, on: 1, isResponse: false, isLast: true) == .open)
    #expect(table.answered(1, isLast: false) == .send)
    #expect(table.answered(1, isLast: true) == .sendLast)
    #expect(table.answered(1, isLast: true) == .drop)
    let isEmpty = table.isEmpty
    #expect(!isEmpty)
    #expect(table.handlerReturned(1) == .drop)
    let isEmptyAfter = table.isEmpty
    #expect(isEmptyAfter)
  }

  @Test("a cancelled request stops its handler once, and its answers are dropped")
  func cancelledRequest() {
    var table = StreamTable(side: .acceptor)
    #expect(table.received(.message, on: 1, isResponse: false, isLast: true) == .open)
    #expect(
      table.received(.cancel, on: 1, isResponse: false, isLast: true) == .known(.stopHandler))
    #expect(table.received(.cancel, on: 1, isResponse: false, isLast: true) == .known(.drop))
    #expect(table.answered(1, isLast: true) == .drop)
    #expect(table.handlerReturned(1) == .drop)
    #expect(table.received(.cancel, on: 1, isResponse: false, isLast: true) == .known(.drop))
  }

  @Test("frames that break the rules are violations")
  func violations() throws {
    let frames: [(StreamTable.Arrival, UInt64, isResponse: Bool, isLast: Bool)] = [
      // A response on a stream of the peer, a request on one of ours.
      (.message, 5, true, true), (.message, 2, false, true),
      // A response on a stream that was never opened.
      (.message, 4, true, true), (.error, 4, true, true), (.cancel, 4, true, true),
      // Ids that do not rise, a second request, a request of several messages.
      (.message, 3, false, true), (.message, 1, false, true), (.message, 5, false, false),
      // A cancel of what was never asked.
      (.cancel, 5, false, true), (.error, 5, false, true),
    ]
    for (arrival, stream, isResponse, isLast) in frames {
      var table = StreamTable(side: .acceptor)
      #expect(try table.open() == 2)
      #expect(table.received(.message, on: 3, isResponse: false, isLast: true) == .open)
      #expect(
        Self.isViolation(
          table.received(arrival, on: stream, isResponse: isResponse, isLast: isLast)),
        "\(arrival) \(stream)")
    }
  }

  @Test("too many streams are refused on both sides until one has ended")
  func tooMany() throws {
    var asking = StreamTable(side: .initiator, maximumStreams: 3)
    for _ in 0..<3 { _ = try asking.open() }
    do throws(BatonError) {
      _ = try asking.open()
      Issue.record("a fourth stream was opened")
    } catch {
      #expect(error.code == .resourceExhausted)
    }
    _ = asking.cancel(3)
    #expect(try asking.open() == 7)

    var answering = StreamTable(side: .acceptor, maximumStreams: 3)
    func ask(_ table: inout StreamTable, _ stream: UInt64) -> StreamTable.Reception {
      table.received(.message, on: stream, isResponse: false, isLast: true)
    }
    for stream in [1, 3, 5] as [UInt64] { #expect(ask(&answering, stream) == .open) }
    guard case .refuse(let error) = ask(&answering, 7) else {
      Issue.record("a fourth request was taken")
      return
    }
    #expect(error.code == .resourceExhausted)
    // The refused id is used up, and its answers are nobody's.
    #expect(answering.answered(7, isLast: true) == .drop)
    #expect(Self.isViolation(ask(&answering, 7)))
    // A cancelled request counts until its handler has returned, an answered one does not.
    _ = answering.received(.cancel, on: 1, isResponse: false, isLast: true)
    guard case .refuse = ask(&answering, 9) else {
      Issue.record("work was piled up by cancelling it")
      return
    }
    _ = answering.handlerReturned(1)
    #expect(ask(&answering, 11) == .open)
    _ = answering.answered(3, isLast: true)
    #expect(ask(&answering, 13) == .open)
  }

  @Test("losing the connection ends all streams")
  func lost() throws {
    var table = StreamTable(side: .initiator)
    _ = try (table.open(), table.open())
    for stream in [2, 4, 6] as [UInt64] {
      _ = table.received(.message, on: stream, isResponse: false, isLast: true)
    }
    _ = table.answered(4, isLast: true)
    _ = table.received(.cancel, on: 6, isResponse: false, isLast: true)
    table.closeAll()
    let isEmpty = table.isEmpty
    #expect(isEmpty)
    for stream in 1...6 as ClosedRange<UInt64> { #expect(table.state(of: stream) == .closed) }
    #expect(table.handlerReturned(4) == .drop)
  }
}
