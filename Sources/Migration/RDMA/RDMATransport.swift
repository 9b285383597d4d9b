import ControlProtocol
import KVCore
import Synchronization
import Verbs

/// Reads a peer's memory by RDMA READ over reliable connections (InfiniBand or RoCE).
///
/// The decode side reads; prefill's processor has no part in it. Its pool is registered as a whole,
/// so a peer that has a link can read all of it, as on one node. A ticket's blocks are given back
/// when decode has said that it is done with them; where it does not, when the queue pairs of its
/// links are in ERR, after which no READ over them is answered.
final class RDMATransport: Transport {
  private struct Link: Sendable {
    /// This side's queue pairs; nil until the link is offered or admitted.
    var lanes: RDMALanes?
    /// The owner's answer, made when the reader was admitted.
    var answer: [RDMAEndpoint.Lane] = []
    var regions: [MemoryRegion] = []
    var tickets: Set<TicketID> = []
  }

  private struct Waiting: Sendable {
    let links: Set<LinkID>
    let whenQuiet: @Sendable () -> Void
  }

  private struct State: Sendable {
    var links: [LinkID: Link] = [:]
    /// Tickets that were taken back while the reader may still read.
    var waiting: [TicketID: Waiting] = [:]
  }

  let kind = TransportKind.rdma
  private let hardware: RDMAHardware
  private let options: MigrationOptions
  private let state = Mutex(State())
  /// By where the memory lies and how it is used. Held while memory is pinned, so that this happens
  /// once.
  private let registrations = Mutex<[String: RDMARegistration]>([:])

  /// Nil where there is no active port.
  ///
  /// Throws `invalidArgument` for a GID index that no port has.
  init?(options: MigrationOptions) throws(BatonError) {
    hardware = try RDMAHardware(gidIndex: options.gidIndex)
    guard !hardware.ports.isEmpty else { return nil }
    self.options = options
  }

  func begin(link: LinkID, onPeerDeath: @escaping @Sendable () -> Void) {
    state.withLock { $0.links[link] = Link() }
  }

  func prepare(_ region: MemoryRegion) throws(BatonError) {
    if let address = region.sourceAddress {
      _ = try registration(of: region, address: address, use: .readByPeers)
    }
    if let address = region.address {
      _ = try registration(of: region, address: address, use: .targetOfReads)
    }
  }

  var summary: String? {
    let ports = hardware.ports.map { port in
      let kind = port.port.isEthernet ? "RoCE" : "InfiniBand"
      return "\(port.device.name) port \(port.port.number) (\(kind))"
    }
    return "rdma: \(ports.joined(separator: ", ")); peers with a link may read the whole pool"
  }

  /// The region's registration, made the first time.
  private func registration(
    of region: MemoryRegion, address: UInt, use: RegisteredMemory.Use
  ) throws(BatonError) -> RDMARegistration {
    let name = "\(address)+\(region.length.rawValue) \(use)"
    return try registrations.withLock { (registrations) throws(BatonError) in
      if let known = registrations[name] { return known }
      let made = try RDMARegistration(region, address: address, use: use, hardware: hardware)
      registrations[name] = made
      return made
    }
  }

  // MARK: Setting up

  func offer(
    link: LinkID, peer: LinkPeer, regions: [MemoryRegion], in info: inout EndpointInfo
  ) throws(BatonError) {
    let ports = hardware.ports.map(\.info)
    let shared = regions.filter { $0.sourceAddress != nil }
    guard !shared.isEmpty else {
      for region in regions { try prepare(region) }
      // The side that reads tells of its queue pairs first.
      let lanes = try RDMALanes(hardware: hardware, count: options.lanes, peerReads: false)
      state.withLock { state in
        state.links[link]?.lanes = lanes
        state.links[link]?.regions = regions
      }
      info.rdma = RDMAEndpoint(ports: ports, lanes: lanes.info(peerReads: false), regions: [])
      return
    }
    let answer = state.withLock { $0.links[link]?.answer ?? [] }
    guard !answer.isEmpty else { return }
    var offered: [RDMAEndpoint.Region] = []
    for region in shared {
      guard let address = region.sourceAddress else { continue }
      let memory = try registration(of: region, address: address, use: .readByPeers)
      offered.append(
        RDMAEndpoint.Region(
          key: region.key, length: region.length, address: UInt64(address),
          remoteKeys: hardware.ports.map(memory.remoteKey)))
    }
    info.rdma = RDMAEndpoint(ports: ports, lanes: answer, regions: offered)
  }

  func admit(link: LinkID, peer: LinkPeer, remote: EndpointInfo) throws(BatonError) {
    guard let endpoint = remote.rdma else { return }
    let count = min(endpoint.lanes.count, options.lanes)
    guard count > 0 else {
      throw BatonError(.invalidArgument, "\(peer.engine) has no queue pairs for link \(link)")
    }
    let lanes = try RDMALanes(hardware: hardware, count: count, peerReads: true)
    var answer = lanes.info(peerReads: true)
    for (place, lane) in lanes.lanes.enumerated() {
      let theirs = endpoint.lanes[place]
      guard endpoint.ports.indices.contains(theirs.port) else {
        throw BatonError(.invalidArgument, "\(peer.engine) has no RDMA port \(theirs.port)")
      }
      let port = endpoint.ports[theirs.port]
      let own = hardware.ports[lane.port]
      let pair = try Self.gids(own: own, peer: port, of: peer.engine)
      try lanes.connect(
        lane, to: theirs, on: port,
        gids: pair.map { (own.port.gids[$0.own].index, port.gids[$0.peer].gid) },
        peerReads: true)
      answer[place].ownGID = pair?.own ?? 0
      answer[place].peerGID = pair?.peer ?? 0
    }
    state.withLock { state in
      state.links[link]?.lanes = lanes
      state.links[link]?.answer = answer
    }
  }

  /// The places, in both ports' lists, of the GIDs by which they reach each other; nil for ports of
  /// one InfiniBand subnet, which need none.
  private static func gids(
    own: RDMAHardware.Port, peer: RDMAEndpoint.Port, of engine: EngineID
  ) throws(BatonError) -> (own: Int, peer: Int)? {
    guard own.port.isEthernet == peer.isEthernet else {
      throw BatonError(
        .incompatible,
        "\(engine) has \(peer.isEthernet ? "RoCE" : "InfiniBand"), this port of "
          + "\(own.device.name) has \(own.port.isEthernet ? "RoCE" : "InfiniBand")")
    }
    let theirs = peer.gids.enumerated().compactMap { place, gid in
      GID.Kind(rawValue: gid.type).map {
        (place, GID(index: gid.index, bytes: gid.gid, kind: $0))
      }
    }
    let best = GID.bestPair(
      own: own.port.gids, peer: theirs.map(\.1), forced: own.forcedGID)
    if let best, let mine = own.port.gids.firstIndex(of: best.own),
      let other = theirs.first(where: { $0.1 == best.peer })
    {
      return (mine, other.0)
    }
    guard !own.port.isEthernet, own.forcedGID == nil else {
      throw BatonError(
        .incompatible,
        "no pair of GIDs fits: \(own.port.gids.map(\.description).joined(separator: "; ")) here, "
          + "\(theirs.map(\.1.description).joined(separator: "; ")) at \(engine)")
    }
    return nil
  }

  func connect(
    link: LinkID, peer: LinkPeer, remote: EndpointInfo
  ) throws(BatonError) -> any TransportConnection {
    guard let endpoint = remote.rdma, !endpoint.lanes.isEmpty else {
      throw BatonError(.unavailable, "\(peer.engine) offers no queue pairs for link \(link)")
    }
    let (held, regions) = state.withLock { state in
      defer { state.links[link]?.lanes = nil }
      return (state.links[link]?.lanes, state.links[link]?.regions ?? [])
    }
    guard let lanes = held, endpoint.lanes.count <= lanes.lanes.count else {
      throw BatonError(
        .unavailable, "link \(link) has no queue pairs to connect with \(peer.engine)'s")
    }
    for (lane, theirs) in zip(lanes.lanes, endpoint.lanes) {
      let own = hardware.ports[lane.port].port
      guard endpoint.ports.indices.contains(theirs.port),
        !own.isEthernet
          || own.gids.indices.contains(theirs.peerGID)
            && endpoint.ports[theirs.port].gids.indices.contains(theirs.ownGID)
      else {
        throw BatonError(.invalidArgument, "\(peer.engine) names ports or GIDs that are not there")
      }
      let port = endpoint.ports[theirs.port]
      let gids: (UInt8, [UInt8])? =
        own.isEthernet ? (own.gids[theirs.peerGID].index, port.gids[theirs.ownGID].gid) : nil
      try lanes.connect(lane, to: theirs, on: port, gids: gids, peerReads: false)
    }
    var targets: [RDMARegistration] = []
    for region in regions {
      guard let address = region.address else { continue }
      targets.append(try registration(of: region, address: address, use: .targetOfReads))
    }
    return try RDMAConnection(
      peer: peer, lanes: lanes, used: endpoint.lanes.count, endpoint: endpoint, targets: targets,
      timeoutMilliseconds: options.progressTimeoutMilliseconds)
  }

  // MARK: Lending

  func grant(_ ticket: TicketID, extents: [RegionExtent], link: LinkID) {
    state.withLock { state in
      if state.links[link]?.lanes != nil { _ = state.links[link]?.tickets.insert(ticket) }
    }
  }

  func revoke(
    _ ticket: TicketID, readerIsDone: Bool, whenQuiet: @escaping @Sendable () -> Void
  ) {
    let mayRead = state.withLock { state in
      let links = Set(state.links.filter { $0.value.tickets.contains(ticket) }.keys)
      guard !readerIsDone, !links.isEmpty else {
        for link in links { state.links[link]?.tickets.remove(ticket) }
        return false
      }
      state.waiting[ticket] = Waiting(links: links, whenQuiet: whenQuiet)
      return true
    }
    guard mayRead else { return whenQuiet() }
    // A reader that was told to stop says so in a moment, and its link goes on.
    Task {
      try? await Task.sleep(for: .milliseconds(MigrationLimits.readerGraceMilliseconds))
      stopReading(ticket)
    }
  }

  func readerIsDone(_ ticket: TicketID) {
    let waiting = state.withLock { state in
      for link in state.links.keys { state.links[link]?.tickets.remove(ticket) }
      return state.waiting.removeValue(forKey: ticket)
    }
    waiting?.whenQuiet()
  }

  /// Ends the links over which a ticket can be read.
  private func stopReading(_ ticket: TicketID) {
    let lanes = state.withLock { state in
      state.waiting[ticket]?.links.compactMap { state.links[$0]?.lanes } ?? []
    }
    for each in lanes { each.fail() }
    readerIsDone(ticket)
  }

  func withdraw(link: LinkID) { end(link, isOver: false) }

  func end(link: LinkID) { end(link, isOver: true) }

  private func end(_ link: LinkID, isOver: Bool) {
    let (lanes, tickets) = state.withLock { state in
      let old = state.links[link]
      state.links[link] = isOver || old == nil ? nil : Link()
      return (old?.lanes, old?.tickets ?? [])
    }
    guard let lanes else { return }
    lanes.fail()
    // Over this link nothing is read any more; others may have the ticket, too.
    for ticket in tickets {
      let isOpen = state.withLock { state in
        state.links.contains { $0.value.tickets.contains(ticket) }
      }
      if !isOpen { readerIsDone(ticket) }
    }
  }

  func close() {
    let links = state.withLock { Array($0.links.keys) }
    for link in links { end(link: link) }
  }
}
