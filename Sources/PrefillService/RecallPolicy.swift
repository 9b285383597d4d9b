package import KVCore

/// Which lent blocks prefill asks decode to take over, so that its pool has room for new prompts: a
/// value without a clock.
///
/// A decode engine has room of its own for what it is asked to take over, or has not, and then the
/// blocks stay lent until the answer ends. So what was asked for is counted on for a while, and
/// after that others are asked as well.
package struct RecallPolicy: Sendable {
  package typealias Instant = ContinuousClock.Instant

  /// A sequence that decode reads in place.
  package struct Loan: Hashable, Sendable {
    package let ticket: TicketID
    package let blocks: Int
    /// When decode was asked to take it over; nil if it has not been.
    package let recalled: Instant?

    package init(ticket: TicketID, blocks: Int, recalled: Instant?) {
      self.ticket = ticket
      self.blocks = blocks
      self.recalled = recalled
    }
  }

  /// What to do now.
  package struct Decision: Hashable, Sendable {
    /// Ask for these.
    package var recalls: [TicketID] = []
    /// When to decide again, if nothing happens before; nil if time changes nothing.
    package var nextLook: Instant?
  }

  /// How long what was asked for is counted on.
  package static let patience = Duration.milliseconds(500)

  /// - Parameters:
  ///   - loans: in the order in which they are asked for.
  ///   - free: blocks of the pool.
  ///   - wanted: blocks that ought to be free.
  package static func decide(loans: [Loan], free: Int, wanted: Int, now: Instant) -> Decision {
    var decision = Decision()
    var missing = wanted - free
    for loan in loans {
      guard let recalled = loan.recalled, recalled + patience > now else { continue }
      missing -= loan.blocks
    }
    for loan in loans where loan.recalled == nil && missing > 0 {
      decision.recalls.append(loan.ticket)
      missing -= loan.blocks
    }
    // Whoever has not been asked yet may have to be, once the patience with the others ends.
    let asked = Set(decision.recalls)
    if wanted > free, loans.contains(where: { $0.recalled == nil && !asked.contains($0.ticket) }) {
      let times = loans.compactMap(\.recalled).map { $0 + patience }.filter { $0 > now }
      decision.nextLook = (times + (asked.isEmpty ? [] : [now + patience])).min()
    }
    return decision
  }
}
