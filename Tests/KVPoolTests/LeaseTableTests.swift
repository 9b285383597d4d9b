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

  /// How a ticket came to be where it is.
  enum Situation: CaseIterable {
    case neverGranted, granted, claimed, claimedByOther, released, revoked, expired, due
    case claimantGone
  }

  enum Event: CaseIterable {
    case claim, renew, extend, release, revoke
  }

  private static func table(in situation: Situation) throws -> LeaseTable {
    var table = LeaseTable(duration: duration)
    if situation == .neverGranted { return table }
    table.grant(ticket, blocks: blocks, now: start)
    let decode = try claimant("decode-0")
    switch situation {
    case .neverGranted, .granted: break
    case .claimed: _ = try table.claim(ticket, by: decode, now: start)
    case .claimedByOther: _ = try table.claim(ticket, by: claimant("decode-1"), now: start)
    case .released:
      _ = try table.claim(ticket, by: decode, now: start)
      _ = try table.release(ticket, by: decode.peer, now: start)
    case .revoked: _ = try table.revoke(ticket)
    case .expired: _ = table.expire(now: start + duration)
    // Its time is up at the events' time, but nobody has called `expire`.
    case .due:
      table = LeaseTable(duration: .seconds(1))
      table.grant(ticket, blocks: blocks, now: start)
    case .claimantGone:
      _ = try table.claim(ticket, by: decode, now: start)
      _ = table.releaseAll(over: [decode.link])
    }
    return table
  }

  /// The error of each event in each situation; nil where it succeeds.
  private static func expectedCode(_ situation: Situation, _ event: Event) -> ErrorCode? {
    switch (situation, event) {
    case (.neverGranted, _), (.released, _): .ticketUnknown
    case (.revoked, _): .cancelled
    // Only its owner may keep or take back a lease whose time is up while its blocks are out.
    case (.due, .extend), (.due, .revoke): nil
    case (.expired, _), (.due, _), (.claimantGone, _): .leaseExpired
    case (.granted, .renew), (.granted, .release): .protocolViolation
    case (.claimedByOther, .claim), (.claimedByOther, .renew), (.claimedByOther, .release):
      .ticketClaimed
    case (.granted, _), (.claimed, _), (.claimedByOther, _): nil
    }
  }

  @Test(
    "Every event in every situation succeeds or fails with its own code",
    arguments: Situation.allCases, Event.allCases)
  func table(situation: Situation, event: Event) throws {
    var table = try Self.table(in: situation)
    let decode = try Self.claimant("decode-0")
    let now = Self.start + .seconds(2)
    var code: ErrorCode?
    var freed: [BlockRange] = []
    let before = table.leaseCount
    do {
      switch event {
      case .claim: #expect(try table.claim(Self.ticket, by: decode, now: now) == Self.blocks)
      case .renew: try table.renew(Self.ticket, by: decode.peer, now: now)
      case .extend: try table.extend(Self.ticket, now: now)
      case .release: freed = try table.release(Self.ticket, by: decode.peer, now: now).blocks
      case .revoke: freed = try table.revoke(Self.ticket).blocks
      }
    } catch {
      code = error.code
    }
    #expect(code == Self.expectedCode(situation, event))
    let ends = code == nil && (event == .release || event == .revoke)
    #expect(freed == (ends ? Self.blocks : []))
    #expect(table.leaseCount == (ends ? 0 : before))
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
