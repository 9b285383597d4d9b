package import ControlProtocol
package import KVCore

/// What keeps a peer that has a link from reading more of a pool over RDMA than its tickets list.
package enum MemoryProtection: String, Sendable, CaseIterable, CustomStringConvertible {
  /// Memory windows: the device refuses everything else.
  case windows
  /// Nothing does: the peer has the key of the whole pool, and is trusted with it.
  case pool

  package var description: String { rawValue }
}

/// How a ticket's blocks are reached over a link, as their owner has granted it.
package struct TicketAccess: Hashable, Sendable {
  /// By what they are READ over the link's RDMA lanes; none where it has none.
  package var windows: [RDMAWindow] = []
  /// Nil without windows.
  package var protection: MemoryProtection?

  package init(windows: [RDMAWindow] = [], protection: MemoryProtection? = nil) {
    self.windows = windows
    self.protection = protection
  }
}

/// Leave to read what a ticket lists, as its claimant has it.
package struct ReadGrant: Hashable, Sendable {
  package var ticket: TicketID
  /// What the owner has told of the link's RDMA lanes.
  package var windows: [RDMAWindow]

  package init(ticket: TicketID, windows: [RDMAWindow] = []) {
    self.ticket = ticket
    self.windows = windows
  }
}
