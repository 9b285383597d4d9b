import KVCore
import KVPool
import TestSupport
import Testing

@Suite("Leases")
struct LeaseTableTests {
  private static let start = ContinuousClock.now
  private static let duration = Duration.seconds(30)
  private static let ticket = TicketID(high: 1, low: 2)
  private static let blocks = ranges((3, 4), (10, 1))

  private static func claimant(
    _ name: String, incarnation: UInt64 = 1, attempt: UInt32 = 0, link: UInt64 = 1
  ) throws -> LeaseTable.Claimant {
    LeaseTable.Claimant(
      peer: LeaseTable.Peer(
        engine: try EngineID(name), incarnation: Incarnation(incarnation)),
      attempt: attempt, link: LinkID(link))
  }

  /// How a ticket came to be where it is. The events come from `decode-0` over link 1.
  enum Situation: CaseIterable {
    case neverGranted, granted, claimed
    case claimedOverOtherLink, claimedInOtherAttempt, claimedByOtherStart, claimedByOther
    case released, revoked, expired, claimantGone
    // Their time is up at the events' time, but nobody has called `expire`.
    case due, dueClaimed
  }

  enum Event: CaseIterable {
    case claim, renew, extend, release, revoke, expire, linkLost, otherLinkLost
  }

  enum Outcome: Hashable {
    case refused(ErrorCode)
    /// The lease starts anew.
    case renewed
    case ended
    case untouched
  }

  private static func table(in situation: Situation) throws -> LeaseTable {
    let isDue = [.due, .dueClaimed].contains(situation)
    var table = LeaseTable(duration: isDue ? .seconds(1) : duration)
    if situation == .neverGranted { return table }
    table.grant(ticket, blocks: blocks, now: start)
    let decode = try claimant("decode-0")
    let first: LeaseTable.Claimant? =
      switch situation {
      case .neverGranted, .granted, .due, .revoked, .expired: nil
      case .claimed, .dueClaimed, .released, .claimantGone: decode
      case .claimedOverOtherLink: try claimant("decode-0", link: 2)
      case .claimedInOtherAttempt: try claimant("decode-0", attempt: 1)
      case .claimedByOtherStart: try claimant("decode-0", incarnation: 2, link: 2)
      case .claimedByOther: try claimant("decode-1", link: 2)
      }
    if let first { _ = try table.claim(ticket, by: first, now: start) }
    switch situation {
    case .released: _ = try table.release(ticket, by: decode.peer, now: start)
    case .revoked: _ = try table.revoke(ticket)
    case .expired: _ = table.expire(now: start + duration)
    case .claimantGone: _ = table.releaseAll(over: [decode.link])
    default: break
    }
    return table
  }

  private static func expected(_ situation: Situation, _ event: Event) -> Outcome {
    switch (situation, event) {
    case (.due, .expire), (.dueClaimed, .expire): .ended
    case (.claimed, .linkLost), (.claimedInOtherAttempt, .linkLost), (.dueClaimed, .linkLost):
      .ended
    case (.claimedOverOtherLink, .otherLinkLost), (.claimedByOtherStart, .otherLinkLost),
      (.claimedByOther, .otherLinkLost):
      .ended
    case (_, .expire), (_, .linkLost), (_, .otherLinkLost): .untouched
    case (.neverGranted, _), (.released, _): .refused(.ticketUnknown)
    case (.revoked, _): .refused(.cancelled)
    case (.expired, _), (.claimantGone, _): .refused(.leaseExpired)
    // Only its owner may keep or take back a lease whose time is up while its blocks are out.
    case (_, .extend): .renewed
    case (_, .revoke): .ended
    case (.due, _), (.dueClaimed, _): .refused(.leaseExpired)
    case (.claimedByOther, _), (.claimedByOtherStart, _), (.claimedInOtherAttempt, .claim):
      .refused(.ticketClaimed)
    case (.granted, .renew), (.granted, .release): .refused(.protocolViolation)
    case (_, .claim), (_, .renew): .renewed
    case (_, .release): .ended
    }
  }

  /// Lets one event happen; the error's code and what ended.
  private static func happen(
    _ event: Event, by decode: LeaseTable.Claimant, in table: inout LeaseTable,
    now: ContinuousClock.Instant
  ) -> (code: ErrorCode?, ended: [BlockRange]) {
    do throws(BatonError) {
      switch event {
      case .claim: _ = try table.claim(ticket, by: decode, now: now)
      case .renew: try table.renew(ticket, by: decode.peer, now: now)
      case .extend: try table.extend(ticket, now: now)
      case .release: return (nil, try table.release(ticket, by: decode.peer, now: now).blocks)
      case .revoke: return (nil, try table.revoke(ticket).blocks)
      case .expire: return (nil, table.expire(now: now).flatMap(\.blocks))
      case .linkLost: return (nil, table.releaseAll(over: [LinkID(1)]).flatMap(\.blocks))
      case .otherLinkLost: return (nil, table.releaseAll(over: [LinkID(2)]).flatMap(\.blocks))
      }
      return (nil, [])
    } catch {
      return (error.code, [])
    }
  }

  /// What every event that could come next would do: tables that agree in it are in one state.
  private static func future(
    of table: LeaseTable, now: ContinuousClock.Instant
  ) throws -> [String] {
    let claimants = [
      try claimant("decode-0"), try claimant("decode-0", attempt: 1, link: 2),
      try claimant("decode-0", incarnation: 2), try claimant("decode-1"),
    ]
    return claimants.flatMap { claimant in
      Event.allCases.map { event in
        var next = table
        let result = happen(event, by: claimant, in: &next, now: now)
        return "\(result) \(next.leaseCount) \(String(describing: next.nextDeadline))"
      }
    }
  }

  @Test(
    "Every event in every situation has its effect, or is refused by its own code and has none",
    arguments: Situation.allCases, Event.allCases)
  func table(situation: Situation, event: Event) throws {
    var table = try Self.table(in: situation)
    let before = table
    let now = Self.start + .seconds(2)
    let result = Self.happen(event, by: try Self.claimant("decode-0"), in: &table, now: now)
    let outcome: Outcome
    if let code = result.code {
      outcome = .refused(code)
    } else if table.leaseCount < before.leaseCount {
      outcome = .ended
    } else {
      outcome = table.nextDeadline == before.nextDeadline ? .untouched : .renewed
    }
    #expect(outcome == Self.expected(situation, event))
    switch outcome {
    case .refused, .untouched:
      #expect(result.ended.isEmpty)
      #expect(try Self.future(of: table, now: now) == Self.future(of: before, now: now))
    case .renewed:
      let isDue = [.due, .dueClaimed].contains(situation)
      #expect(table.nextDeadline == now + (isDue ? .seconds(1) : Self.duration))
      #expect(table.leasedBlockCount == 5)
    case .ended:
      #expect(result.ended == Self.blocks)
      #expect(table.nextDeadline == nil)
    }
  }

  @Test("The first claimant may come again, over another link too, and nobody else may")
  func binding() throws {
    var table = try Self.table(in: .claimed)
    let again = try Self.claimant("decode-0", link: 9)
    #expect(try table.claim(Self.ticket, by: again, now: Self.start) == Self.blocks)
    for other in [
      try Self.claimant("decode-0", attempt: 1), try Self.claimant("decode-0", incarnation: 2),
      try Self.claimant("decode-1"),
    ] {
      let error = #expect(throws: BatonError.self) {
        try table.claim(Self.ticket, by: other, now: Self.start)
      }
      #expect(error?.code == .ticketClaimed)
    }
  }

  @Test("A lease ends when its time is up, and each claim, renewal and extension starts it anew")
  func expiry() throws {
    var table = try Self.table(in: .granted)
    let decode = try Self.claimant("decode-0")
    #expect(table.nextDeadline == Self.start + .seconds(30))
    try table.extend(Self.ticket, now: Self.start + .seconds(10))
    _ = try table.claim(Self.ticket, by: decode, now: Self.start + .seconds(20))
    try table.renew(Self.ticket, by: decode.peer, now: Self.start + .seconds(40))
    #expect(table.nextDeadline == Self.start + .seconds(70))
    #expect(table.expire(now: Self.start + .seconds(69)).isEmpty)
    #expect(table.leasedBlockCount == 5)
    #expect(table.expire(now: Self.start + .seconds(70)).map(\.blocks) == [Self.blocks])
    #expect(table.expire(now: Self.start + .seconds(71)).isEmpty)
    #expect(table.nextDeadline == nil)
    #expect(table.leasedBlockCount == 0)
  }

  @Test("Links that are lost take the leases claimed over them along, and no others")
  func linksLost() throws {
    var table = LeaseTable(duration: Self.duration)
    let owners = [
      try Self.claimant("decode-0", link: 1), try Self.claimant("decode-0", link: 2),
      try Self.claimant("decode-1", link: 3),
    ]
    for index in 0..<7 {
      let ticket = TicketID(high: UInt64(index), low: 0)
      table.grant(ticket, blocks: ranges((UInt32(index), 1)), now: Self.start)
      if index < 6 { _ = try table.claim(ticket, by: owners[index % 3], now: Self.start) }
    }
    // It came back over another link before the first was lost.
    _ = try table.claim(TicketID(high: 3, low: 0), by: owners[1], now: Self.start)
    let ended = table.releaseAll(over: [LinkID(1), LinkID(3)]).map(\.ticket.high).sorted()
    #expect(ended == [0, 2, 5])
    #expect(table.leaseCount == 4)
  }

  @Test("Blocks come back exactly once, whatever happens", arguments: 0..<8 as Range<UInt64>)
  func everyBlockOnce(seed: UInt64) throws {
    var generator = SplitMix64(seed: seed)
    var table = LeaseTable(duration: .seconds(5))
    var now = Self.start
    var leased: [TicketID: [BlockRange]] = [:]
    var known: [TicketID] = []
    let claimants = [
      try Self.claimant("decode-0", link: 1), try Self.claimant("decode-1", link: 2),
    ]
    for step in 0..<1_500 {
      now += .milliseconds(Int.random(in: 0...100, using: &generator))
      var ended: [LeaseTable.EndedLease] = []
      let who = claimants[Int.random(in: 0...1, using: &generator)]
      let ticket = known.suffix(20).randomElement(using: &generator)
      switch (Int.random(in: 0..<8, using: &generator), ticket) {
      case (0, _), (1, _), (_, nil):
        let new = TicketID(high: seed, low: UInt64(step))
        let blocks = ranges((UInt32(step), 1))
        table.grant(new, blocks: blocks, now: now)
        leased[new] = blocks
        known.append(new)
      case (2, let ticket?), (3, let ticket?): _ = try? table.claim(ticket, by: who, now: now)
      case (4, let ticket?): try? table.renew(ticket, by: who.peer, now: now)
      case (5, let ticket?):
        ended = (try? table.release(ticket, by: who.peer, now: now)).map { [$0] } ?? []
      case (6, _): ended = table.expire(now: now)
      case (_, let ticket?):
        ended =
          step % 50 == 0
          ? table.releaseAll(over: [who.link])
          : (try? table.revoke(ticket)).map { [$0] } ?? []
      }
      for lease in ended { #expect(leased.removeValue(forKey: lease.ticket) == lease.blocks) }
      #expect(table.leaseCount == leased.count)
    }
    let rest = table.expire(now: now + .seconds(5))
    #expect(rest.count == leased.count)
    #expect(table.leasedBlockCount == 0)
  }

  @Test("Only so many ended tickets are remembered")
  func memoryIsBounded() throws {
    var table = LeaseTable(duration: Self.duration)
    let count = LeaseTable.maximumRemembered + 10
    for index in 0..<count {
      table.grant(TicketID(high: 0, low: UInt64(index)), blocks: [], now: Self.start)
    }
    #expect(table.expire(now: Self.start + Self.duration).count == count)
    let decode = try Self.claimant("decode-0")
    var codes: [ErrorCode: Int] = [:]
    for index in 0..<count {
      let error = #expect(throws: BatonError.self) {
        try table.claim(TicketID(high: 0, low: UInt64(index)), by: decode, now: Self.start)
      }
      if let error { codes[error.code, default: 0] += 1 }
    }
    #expect(codes == [.leaseExpired: LeaseTable.maximumRemembered, .ticketUnknown: 10])
  }
}
