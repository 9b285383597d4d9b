package import KVCore

/// Which tickets keep which blocks, for whom and until when: a state machine without a clock.
///
/// A ticket is granted, then claimed, then ended: by release, by expiry, by its owner, or because
/// its claimant is gone. Ended tickets are remembered for a while, so that whoever comes late is
/// told why. Each event that ends leases returns them, and their blocks are then the caller's.
package struct LeaseTable: Sendable {
  package typealias Instant = ContinuousClock.Instant

  /// One start of one engine at the other end of a link.
  package struct Peer: Hashable, Sendable, CustomStringConvertible {
    package let engine: EngineID
    package let incarnation: Incarnation

    package init(engine: EngineID, incarnation: Incarnation) {
      self.engine = engine
      self.incarnation = incarnation
    }

    package var description: String { "\(engine)/\(incarnation)" }
  }

  /// Who claims a ticket. The first claimant's peer and attempt bind the ticket; it may come back
  /// over another link, and the lease then lives and ends with that one.
  package struct Claimant: Hashable, Sendable {
    package let peer: Peer
    package let attempt: UInt32
    package let link: LinkID

    package init(peer: Peer, attempt: UInt32, link: LinkID) {
      self.peer = peer
      self.attempt = attempt
      self.link = link
    }
  }

  /// A lease that has just ended.
  package struct EndedLease: Hashable, Sendable {
    package let ticket: TicketID
    package let blocks: [BlockRange]
  }

  private enum Phase {
    case granted
    case claimed(Claimant)
  }

  private struct Lease {
    let blocks: [BlockRange]
    var deadline: Instant
    var phase: Phase
  }

  private enum Ending {
    case released
    case revoked
    case expired
    case claimantGone(Peer)
  }

  /// Ended tickets that are remembered; the oldest is forgotten first.
  package static let maximumRemembered = 1_024

  private let duration: Duration
  private var leases: [TicketID: Lease] = [:]
  private var endings: [TicketID: Ending] = [:]
  /// The keys of `endings` from the oldest on, in a ring.
  private var endingOrder: [TicketID] = []
  private var oldestEnding = 0

  /// - Parameter duration: how long a lease lasts from its grant, its claim or its last renewal on.
  package init(duration: Duration) {
    precondition(duration > .zero, "a lease lasts some time")
    self.duration = duration
  }

  /// Leases that have not ended, and their blocks.
  package var leaseCount: Int { leases.count }
  package var leasedBlockCount: Int { leases.values.reduce(0) { $0 + $1.blocks.blockCount } }

  /// When `expire` has something to do next.
  package var nextDeadline: Instant? { leases.values.map(\.deadline).min() }

  // MARK: Events

  /// A new ticket for `blocks`. Granting one twice is a broken invariant: ids are random.
  package mutating func grant(_ ticket: TicketID, blocks: [BlockRange], now: Instant) {
    precondition(leases[ticket] == nil && endings[ticket] == nil, "ticket \(ticket) exists")
    leases[ticket] = Lease(blocks: blocks, deadline: now + duration, phase: .granted)
  }

  /// The claimant takes the ticket, or takes it once more; the lease starts anew.
  ///
  /// Throws `ticketUnknown`, `leaseExpired`, `cancelled` if its owner has taken it back, or
  /// `ticketClaimed` if it is somebody else's.
  package mutating func claim(
    _ ticket: TicketID, by claimant: Claimant, now: Instant
  ) throws(BatonError) -> [BlockRange] {
    var lease = try current(ticket, now: now)
    if case .claimed(let first) = lease.phase,
      first.peer != claimant.peer || first.attempt != claimant.attempt
    {
      throw BatonError(
        .ticketClaimed,
        "ticket \(ticket) is claimed by \(first.peer) in attempt \(first.attempt), not by "
          + "\(claimant.peer) in attempt \(claimant.attempt)")
    }
    lease.phase = .claimed(claimant)
    lease.deadline = now + duration
    leases[ticket] = lease
    return lease.blocks
  }

  /// The claimant's engine still wants the blocks; the lease starts anew.
  ///
  /// Throws as `claim` does, and `protocolViolation` for a ticket that nobody has claimed.
  package mutating func renew(
    _ ticket: TicketID, by peer: Peer, now: Instant
  ) throws(BatonError) {
    var lease = try current(ticket, now: now)
    try requireClaimant(peer, of: lease, ticket)
    lease.deadline = now + duration
    leases[ticket] = lease
  }

  /// The ticket's owner is still writing its blocks, so that nobody can have read them yet: the
  /// lease starts anew, even one whose time is up, since its blocks have not come back.
  ///
  /// Throws `ticketUnknown`, `leaseExpired` or `cancelled` for a lease that has ended.
  package mutating func extend(_ ticket: TicketID, now: Instant) throws(BatonError) {
    guard var lease = leases[ticket] else { throw missing(ticket) }
    lease.deadline = now + duration
    leases[ticket] = lease
  }

  /// The claimant's engine no longer wants the blocks.
  ///
  /// Throws as `renew` does.
  package mutating func release(
    _ ticket: TicketID, by peer: Peer, now: Instant
  ) throws(BatonError) -> EndedLease {
    let lease = try current(ticket, now: now)
    try requireClaimant(peer, of: lease, ticket)
    return end(ticket, lease, .released)
  }

  /// The ticket's owner takes it back, whoever has claimed it and whether or not its time is up,
  /// for example when its request was cancelled. Throws as `extend` does.
  package mutating func revoke(_ ticket: TicketID) throws(BatonError) -> EndedLease {
    guard let lease = leases[ticket] else { throw missing(ticket) }
    return end(ticket, lease, .revoked)
  }

  /// Ends every lease whose time is up at `now`.
  package mutating func expire(now: Instant) -> [EndedLease] {
    let due = leases.filter { $0.value.deadline <= now }
    return due.map { end($0.key, $0.value, .expired) }
  }

  /// Ends every lease that was claimed over `links`: their control connection is lost, so the
  /// claimant is dead or will not come back for them.
  package mutating func releaseAll(over links: Set<LinkID>) -> [EndedLease] {
    leases.compactMap { ticket, lease in
      guard case .claimed(let claimant) = lease.phase, links.contains(claimant.link)
      else { return nil }
      return (ticket, lease, claimant.peer)
    }
    .map { (ticket: TicketID, lease: Lease, peer: Peer) in
      end(ticket, lease, .claimantGone(peer))
    }
  }

  // MARK: Helpers

  /// The lease of a ticket that has not ended. One whose time is up has ended, though its blocks
  /// come back only from `expire`.
  private func current(_ ticket: TicketID, now: Instant) throws(BatonError) -> Lease {
    guard let lease = leases[ticket] else { throw missing(ticket) }
    guard now < lease.deadline else {
      throw BatonError(.leaseExpired, "the lease of ticket \(ticket) has expired")
    }
    return lease
  }

  private func missing(_ ticket: TicketID) -> BatonError {
    switch endings[ticket] {
    case nil:
      BatonError(.ticketUnknown, "ticket \(ticket) was never granted here, or long ago")
    case .released:
      BatonError(.ticketUnknown, "ticket \(ticket) has been released")
    case .revoked:
      // Not a failure of the claimant's, which may have come just too late; the same request may
      // still be served with another ticket.
      BatonError(
        .cancelled, "ticket \(ticket) has been taken back by its owner", isRetryable: true)
    case .expired:
      BatonError(.leaseExpired, "the lease of ticket \(ticket) has expired")
    case .claimantGone(let peer):
      BatonError(.leaseExpired, "the lease of ticket \(ticket) ended with its claimant \(peer)")
    }
  }

  private func requireClaimant(
    _ peer: Peer, of lease: Lease, _ ticket: TicketID
  ) throws(BatonError) {
    switch lease.phase {
    case .granted:
      throw BatonError(.protocolViolation, "ticket \(ticket) has not been claimed")
    case .claimed(let claimant) where claimant.peer != peer:
      throw BatonError(
        .ticketClaimed, "ticket \(ticket) is claimed by \(claimant.peer), not by \(peer)")
    case .claimed:
      return
    }
  }

  private mutating func end(_ ticket: TicketID, _ lease: Lease, _ ending: Ending) -> EndedLease {
    leases[ticket] = nil
    endings[ticket] = ending
    if endingOrder.count < Self.maximumRemembered {
      endingOrder.append(ticket)
    } else {
      endings[endingOrder[oldestEnding]] = nil
      endingOrder[oldestEnding] = ticket
      oldestEnding = (oldestEnding + 1) % Self.maximumRemembered
    }
    return EndedLease(ticket: ticket, blocks: lease.blocks)
  }
}
