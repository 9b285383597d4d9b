import KVCore
import PrefillService
import Testing

@Suite("Which lent blocks are asked for") struct RecallPolicyTests {
  private static let now = ContinuousClock.now
  private static let tickets = (0..<4).map { TicketID(high: 0, low: UInt64($0)) }

  /// Loans of these sizes, of which some were recalled so long ago.
  private static func loans(
    _ blocks: [Int], recalled: [Int: Duration] = [:]
  ) -> [RecallPolicy.Loan] {
    blocks.enumerated().map { index, blocks in
      RecallPolicy.Loan(
        ticket: tickets[index], blocks: blocks, recalled: recalled[index].map { now - $0 })
    }
  }

  private static func decide(
    _ loans: [RecallPolicy.Loan], free: Int, wanted: Int
  ) -> (recalls: [Int], nextLook: Duration?) {
    let decision = RecallPolicy.decide(loans: loans, free: free, wanted: wanted, now: now)
    return (decision.recalls.map { Int($0.low) }, decision.nextLook.map { $0 - now })
  }

  @Test("Nothing is asked for while enough is free", arguments: [10, 11, 100])
  func enough(free: Int) {
    let decision = Self.decide(Self.loans([5, 5]), free: free, wanted: 10)
    #expect(decision.recalls == [])
    #expect(decision.nextLook == nil)
  }

  @Test("As many as are needed are asked for, from the first on")
  func inOrder() {
    let loans = Self.loans([5, 3, 8, 1])
    #expect(Self.decide(loans, free: 9, wanted: 10).recalls == [0])
    #expect(Self.decide(loans, free: 5, wanted: 10).recalls == [0])
    #expect(Self.decide(loans, free: 4, wanted: 10).recalls == [0, 1])
    #expect(Self.decide(loans, free: 0, wanted: 10).recalls == [0, 1, 2])
    #expect(Self.decide(loans, free: 0, wanted: 1_000).recalls == [0, 1, 2, 3])
    #expect(Self.decide([], free: 0, wanted: 10).recalls == [])
  }

  @Test("What was asked for just now is counted on, and nobody is asked twice")
  func patience() {
    let fresh = Self.loans([5, 3, 8], recalled: [0: .milliseconds(100)])
    #expect(Self.decide(fresh, free: 5, wanted: 10).recalls == [])
    // Others may have to be asked when the patience ends.
    #expect(
      Self.decide(fresh, free: 5, wanted: 10).nextLook
        == RecallPolicy.patience - .milliseconds(100))
    #expect(Self.decide(fresh, free: 4, wanted: 10).recalls == [1])

    let late = Self.loans([5, 3, 8], recalled: [0: RecallPolicy.patience])
    #expect(Self.decide(late, free: 5, wanted: 10).recalls == [1, 2])
    #expect(Self.decide(late, free: 5, wanted: 10).nextLook == nil)
    #expect(Self.decide(late, free: 7, wanted: 10).recalls == [1])
    #expect(Self.decide(late, free: 7, wanted: 10).nextLook == RecallPolicy.patience)
  }
}
