internal import CBatonWire
internal import ControlProtocol
internal import KVCore

extension TicketID: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__TicketID> {
    let wire = unsafe arena.make(baton__v1__ticket_id__init)
    unsafe wire.pointee.high = high
    unsafe wire.pointee.low = low
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__TicketID>) throws(BatonError) {
    self.init(high: unsafe wire.pointee.high, low: unsafe wire.pointee.low)
  }
}

extension Ticket: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__Ticket> {
    let wire = unsafe arena.make(baton__v1__ticket__init)
    unsafe wire.pointee.id = id.wire(in: arena)
    unsafe wire.pointee.engine = arena.text(engine.name)
    unsafe wire.pointee.incarnation = incarnation.rawValue
    unsafe (wire.pointee.n_addresses, wire.pointee.addresses) = arena.texts(addresses)
    unsafe wire.pointee.token_count = tokenCount
    unsafe wire.pointee.lease_milliseconds = leaseMilliseconds
    unsafe (wire.pointee.n_block_counts, wire.pointee.block_counts) = arena.array(
      BlockRuns.counts(of: blocks))
    unsafe (wire.pointee.n_block_gaps, wire.pointee.block_gaps) = arena.array(
      BlockRuns.gaps(of: blocks))
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__Ticket>) throws(BatonError) {
    self.init(
      id: try unsafe Field.message(wire.pointee.id, "Ticket.id"),
      engine: try unsafe Field.engine(wire.pointee.engine, "Ticket.engine"),
      incarnation: try unsafe Field.incarnation(wire.pointee.incarnation, "Ticket.incarnation"),
      addresses: try unsafe Field.texts(
        wire.pointee.n_addresses, wire.pointee.addresses, "Ticket.addresses",
        maximum: WireLimits.maximumAddresses),
      tokenCount: UInt32(
        try unsafe Field.number(
          wire.pointee.token_count, "Ticket.token_count", in: 0...Limits.maximumPromptTokens)),
      blocks: try unsafe BlockRuns.ranges(
        counts: UnsafeBufferPointer(
          start: wire.pointee.block_counts, count: wire.pointee.n_block_counts),
        gaps: UnsafeBufferPointer(
          start: wire.pointee.block_gaps, count: wire.pointee.n_block_gaps)),
      leaseMilliseconds: unsafe wire.pointee.lease_milliseconds)
  }
}

/// The payload of `Message.prefillAccepted`.
struct PrefillAccepted: @unsafe WireConvertible {
  var ticket: Ticket

  init(ticket: Ticket) { self.ticket = ticket }

  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__PrefillAccepted> {
    let wire = unsafe arena.make(baton__v1__prefill_accepted__init)
    unsafe wire.pointee.ticket = ticket.wire(in: arena)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__PrefillAccepted>) throws(BatonError) {
    ticket = try unsafe Field.message(wire.pointee.ticket, "PrefillAccepted.ticket")
  }
}

/// The payload of `Message.leaseRenew`, whose value is that of `Message.leaseRelease` too.
struct LeaseRenewal: @unsafe WireConvertible {
  var lease: LeaseTickets

  init(lease: LeaseTickets) { self.lease = lease }

  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__LeaseRenew> {
    let wire = unsafe arena.make(baton__v1__lease_renew__init)
    unsafe (wire.pointee.n_tickets, wire.pointee.tickets) = arena.list(lease.tickets)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__LeaseRenew>) throws(BatonError) {
    lease = LeaseTickets(
      tickets: try unsafe Field.list(
        wire.pointee.n_tickets, wire.pointee.tickets, "LeaseRenew.tickets",
        maximum: WireLimits.maximumTicketsPerLease))
  }
}

/// The payload of `Message.leaseRecall`.
struct LeaseRecall: @unsafe WireConvertible {
  var lease: LeaseTickets

  init(lease: LeaseTickets) { self.lease = lease }

  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__LeaseRecall> {
    let wire = unsafe arena.make(baton__v1__lease_recall__init)
    unsafe (wire.pointee.n_tickets, wire.pointee.tickets) = arena.list(lease.tickets)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__LeaseRecall>) throws(BatonError) {
    lease = LeaseTickets(
      tickets: try unsafe Field.list(
        wire.pointee.n_tickets, wire.pointee.tickets, "LeaseRecall.tickets",
        maximum: WireLimits.maximumTicketsPerLease))
  }
}

extension LeaseTickets: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__LeaseRelease> {
    let wire = unsafe arena.make(baton__v1__lease_release__init)
    unsafe (wire.pointee.n_tickets, wire.pointee.tickets) = arena.list(tickets)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__LeaseRelease>) throws(BatonError) {
    self.init(
      tickets: try unsafe Field.list(
        wire.pointee.n_tickets, wire.pointee.tickets, "LeaseRelease.tickets",
        maximum: WireLimits.maximumTicketsPerLease))
  }
}
