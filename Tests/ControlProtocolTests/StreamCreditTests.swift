import ControlProtocol
import KVCore
import Testing

@Suite("Stream credit")
struct StreamCreditTests {
  @Test("messages of any size get through, and never more than a window and one message is unread")
  func bothEnds() throws {
    // A linear congruential generator (Knuth): the order of events is all that is random.
    var random: UInt64 = 7
    func next(_ bound: Int) -> Int {
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(random >> 33) % bound
    }
    let sizes = [0, 30, 1_000, StreamCredit.window - 24, StreamCredit.window, 300_000]
    var (sender, receiver) = (SendCredit(), ReceiveCredit())
    var unread: [Int] = []
    var unreadBytes = 0
    var sent = 0
    var stalls = 0
    while sent < 5_000 {
      if next(2) == 0 {
        guard sender.mayBegin else {
          stalls += 1
          // Whoever waits for credit gets it once everything is read: nothing hangs.
          if unread.isEmpty { Issue.record("no credit though nothing is unread") }
          if let cost = unread.popLast(), let credit = receiver.take(cost) {
            unreadBytes -= cost
            try sender.grant(credit)
          } else {
            unreadBytes = unread.reduce(0, +)
          }
          continue
        }
        let cost = StreamCredit.cost(payloadBytes: sizes[next(sizes.count)])
        sender.spend(cost)
        try receiver.receive(cost)
        unread.append(cost)
        unreadBytes += cost
        sent += 1
        #expect(unreadBytes < StreamCredit.window + 300_024)
      } else if let cost = unread.popLast() {
        unreadBytes -= cost
        if let credit = receiver.take(cost) { try sender.grant(credit) }
      }
    }
    #expect(stalls > 100)
  }

  @Test("an answer without credit, and credit for what was never sent, break the rules")
  func violations() throws {
    var receiver = ReceiveCredit()
    try receiver.receive(StreamCredit.window - 1)
    try receiver.receive(500_000)
    let unpaid = #expect(throws: BatonError.self) { try receiver.receive(24) }
    #expect(unpaid?.code == .protocolViolation)

    var sender = SendCredit()
    let early = #expect(throws: BatonError.self) { try sender.grant(1) }
    #expect(early?.code == .protocolViolation)
    sender.spend(100)
    #expect(throws: BatonError.self) { try sender.grant(101) }
    #expect(throws: BatonError.self) { try sender.grant(.max) }
    try sender.grant(100)
    #expect(sender == SendCredit())
  }
}
