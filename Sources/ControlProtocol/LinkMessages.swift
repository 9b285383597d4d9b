package import KVCore

/// Proxy to decode: set up the link to this prefill engine now. Answered by `acknowledged`.
package struct LinkPrepare: Hashable, Sendable {
  package var engine: EngineID
  package var addresses: [String]

  package init(engine: EngineID, addresses: [String]) {
    self.engine = engine
    self.addresses = addresses
  }
}

/// One registered region as its owner describes it to the other side.
package struct RegionInfo: Hashable, Sendable {
  package var key: RegionKey
  package var length: ByteCount

  package init(key: RegionKey, length: ByteCount) {
    self.key = key
    self.length = length
  }
}

/// How one rank of one side of a link is reached: over each transport that is there.
///
/// The side that only reads offers nothing, and names so the transports that it can read over.
package struct EndpointInfo: Hashable, Sendable {
  /// Same-node shared memory.
  package var sharedMemory: SharedMemoryEndpoint?
  package var rdma: RDMAEndpoint?
  package var tcp: TCPEndpoint?

  package init(
    sharedMemory: SharedMemoryEndpoint? = nil, rdma: RDMAEndpoint? = nil, tcp: TCPEndpoint? = nil
  ) {
    self.sharedMemory = sharedMemory
    self.rdma = rdma
    self.tcp = tcp
  }

  /// Whether there is anything to read.
  package var offersMemory: Bool {
    sharedMemory?.regions.isEmpty == false || rdma?.regions.isEmpty == false
      || tcp?.regions.isEmpty == false
  }

  /// Whether a link can be over any transport now: RDMA without lanes may be there later.
  package var canBeUsed: Bool {
    sharedMemory != nil || tcp != nil || rdma?.lanes.isEmpty == false
  }

  /// The transports that are there, the best first.
  package var transports: [TransportKind] {
    TransportKind.allCases.filter { kind in
      switch kind {
      case .sharedMemory: sharedMemory != nil
      case .rdma: rdma != nil
      case .tcp: tcp != nil
      }
    }
  }
}

/// Where the regions' descriptor is fetched, and what is behind it.
///
/// The regions lie one after the other in one descriptor, each from a page boundary on.
package struct SharedMemoryEndpoint: Hashable, Sendable {
  /// A Unix socket: `@name` is abstract, anything else a path. Empty where nothing is offered.
  package var socketName: String
  /// 16 random bytes that open the socket once.
  package var token: [UInt8]
  package var regions: [RegionInfo]

  package init(socketName: String, token: [UInt8], regions: [RegionInfo]) {
    self.socketName = socketName
    self.token = token
    self.regions = regions
  }

  /// Of a side that only reads.
  package static let nothing = SharedMemoryEndpoint(socketName: "", token: [], regions: [])
}

/// Where data connections are accepted, and what can be read over them.
package struct TCPEndpoint: Hashable, Sendable {
  /// `HOST:PORT` or `[IPV6]:PORT`; none where nothing is offered.
  package var addresses: [String]
  /// 32 random bytes that the link's data connections are proven with; empty where nothing is
  /// offered.
  package var salt: [UInt8]
  package var regions: [RegionInfo]

  package init(addresses: [String], salt: [UInt8], regions: [RegionInfo]) {
    self.addresses = addresses
    self.salt = salt
    self.regions = regions
  }

  /// Of a side that only reads.
  package static let nothing = TCPEndpoint(addresses: [], salt: [], regions: [])
}

/// Decode to prefill, once per link. Answered by `linkOpened`.
package struct LinkOpen: Hashable, Sendable {
  package var link: LinkID
  /// The decode side's endpoints, by rank.
  package var endpoints: [EndpointInfo]

  package init(link: LinkID, endpoints: [EndpointInfo]) {
    self.link = link
    self.endpoints = endpoints
  }
}

package struct LinkOpened: Hashable, Sendable {
  /// The prefill side's endpoints, by rank.
  package var endpoints: [EndpointInfo]

  package init(endpoints: [EndpointInfo]) { self.endpoints = endpoints }
}

/// Decode to prefill: nothing is read over this link any more, and what was claimed over it is
/// given up. Answered by `acknowledged`.
package struct LinkClose: Hashable, Sendable {
  package var link: LinkID

  package init(link: LinkID) { self.link = link }
}

/// Decode to prefill: this ticket is mine; tell me what is final. Answered by a stream of
/// `prefillProgress`, at once with what is final already.
package struct TicketClaim: Hashable, Sendable {
  package var ticket: TicketID
  package var link: LinkID
  package var attempt: UInt32

  package init(ticket: TicketID, link: LinkID, attempt: UInt32) {
    self.ticket = ticket
    self.link = link
    self.attempt = attempt
  }
}

/// Prefill to decode: whole blocks are final; at most `Limits.maximumProgressBlocks` of them.
package struct PrefillProgress: Hashable, Sendable {
  /// The place in the ticket's list of the first block that `stamps` speaks of.
  package var firstBlock: UInt32
  /// The final stamps of the blocks from `firstBlock` on.
  package var stamps: [UInt64]
  /// XXH3 with 64 bits and seed 0 of all bytes of the same blocks; as many as `stamps`.
  package var checksums: [UInt64]
  /// In the last progress: prefill is done, `stamps` include the partly filled last block's.
  package var completion: PrefillDone?
  /// In the first progress after a claim over a link with RDMA lanes: by what the ticket's blocks
  /// are READ.
  package var windows: [RDMAWindow]

  package init(
    firstBlock: UInt32, stamps: [UInt64], checksums: [UInt64], completion: PrefillDone?,
    windows: [RDMAWindow] = []
  ) {
    self.firstBlock = firstBlock
    self.stamps = stamps
    self.checksums = checksums
    self.completion = completion
    self.windows = windows
  }
}

/// Decode to prefill: these tickets' blocks are still wanted, or no longer. Prefill to decode: they
/// are wanted back. Answered by `acknowledged`.
package struct LeaseTickets: Hashable, Sendable {
  package var tickets: [TicketID]

  package init(tickets: [TicketID]) { self.tickets = tickets }
}
