import ControlProtocol
import KVCore
import Synchronization
import Verbs

/// Reads a peer's memory by RDMA READ over reliable connections (InfiniBand or RoCE).
///
/// The decode side reads; prefill's processor has no part in it. What a ticket lists can be read
/// while it is lent: see `RDMALender`. Its blocks are given back once it has been taken back; where
/// decode has not said that it is done with them, that is after a moment in which it may.
final class RDMATransport: Transport {
  private struct Link: Sendable {
    /// The reader's queue pairs; nil until the link is offered, and when it is connected.
    var lanes: RDMALanes?
    /// The reader's targets.
    var regions: [MemoryRegion] = []
    /// The owner's side; nil until the reader is admitted.
    var lender: RDMALender?
    /// The owner's answer, made when the reader was admitted.
    var answer: [RDMAEndpoint.Lane] = []
    /// The owner's regions; none until the link is offered.
    var sources: [RegionKey: RDMARegistration] = [:]
  }

  private struct State: Sendable {
    var links: [LinkID: Link] = [:]
    /// Tickets that were taken back while the reader may still read.
    var waiting: [TicketID: @Sendable () -> Void] = [:]
  }

  let kind = TransportKind.rdma
  private let hardware: RDMAHardware
  private let options: MigrationOptions
  private let state = Mutex(State())
  /// What peers READ to see whether they reach this engine.
  private let proof = ScratchMemory(byteCount: RDMAEndpoint.Proof.byteCount)
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
    let protection =
      hardware.ports.allSatisfy(\.device.limits.hasWindows)
      ? "memory windows" : "no memory windows: peers with a ticket may read the whole pool"
    return "rdma: \(ports.joined(separator: ", ")); \(protection)"
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
      info.rdma = RDMAEndpoint(ports: ports, lanes: lanes.info(peerReads: false))
      return
    }
    let answer = state.withLock { $0.links[link]?.answer ?? [] }
    guard !answer.isEmpty else { return }
    var sources: [RegionKey: RDMARegistration] = [:]
    for region in shared {
      guard let address = region.sourceAddress else { continue }
      sources[region.key] = try registration(of: region, address: address, use: .readByPeers)
    }
    let proven = try registration(
      of: MemoryRegion(
        key: RegionKey(0), length: ByteCount(RDMAEndpoint.Proof.byteCount), address: nil,
        sharing: .memory(address: proof.address), owner: proof),
      address: proof.address, use: .readByPeers)
    state.withLock { [sources] in $0.links[link]?.sources = sources }
    info.rdma = RDMAEndpoint(
      ports: ports, lanes: answer,
      regions: shared.compactMap { region in
        region.sourceAddress.map {
          RDMAEndpoint.Region(key: region.key, length: region.length, address: UInt64($0))
        }
      },
      proof: RDMAEndpoint.Proof(
        address: UInt64(proof.address), remoteKeys: hardware.ports.map(proven.remoteKey)))
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
      state.links[link]?.lender = RDMALender(lanes: lanes)
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

  func grant(_ ticket: TicketID, extents: [RegionExtent], link: LinkID) -> TicketAccess {
    let (lender, sources) = state.withLock { state in
      (state.links[link]?.lender, state.links[link]?.sources ?? [:])
    }
    return lender?.lend(ticket, extents: extents, sources: sources) ?? TicketAccess()
  }

  func revoke(
    _ ticket: TicketID, readerIsDone: Bool, whenQuiet: @escaping @Sendable () -> Void
  ) {
    guard !readerIsDone, lenders.contains(where: { $0.isLent(ticket) }) else {
      takeBack(ticket, readerIsDone: true)
      return whenQuiet()
    }
    state.withLock { $0.waiting[ticket] = whenQuiet }
    // A reader that was told to stop says so in a moment, and its queue pairs do not fail.
    Task {
      try? await Task.sleep(for: .milliseconds(MigrationLimits.readerGraceMilliseconds))
      end(ticket, readerIsDone: false)
    }
  }

  func readerIsDone(_ ticket: TicketID) { end(ticket, readerIsDone: true) }

  /// Takes a ticket back, and tells who waits for that.
  private func end(_ ticket: TicketID, readerIsDone: Bool) {
    takeBack(ticket, readerIsDone: readerIsDone)
    let whenQuiet = state.withLock { $0.waiting.removeValue(forKey: ticket) }
    whenQuiet?()
  }

  private func takeBack(_ ticket: TicketID, readerIsDone: Bool) {
    for lender in lenders { lender.takeBack(ticket, readerIsDone: readerIsDone) }
  }

  private var lenders: [RDMALender] { state.withLock { $0.links.values.compactMap(\.lender) } }

  func withdraw(link: LinkID) { end(link, isOver: false) }

  func end(link: LinkID) { end(link, isOver: true) }

  private func end(_ link: LinkID, isOver: Bool) {
    let old = state.withLock { state in
      let old = state.links[link]
      state.links[link] = isOver || old == nil ? nil : Link()
      return old
    }
    old?.lanes?.fail()
    // Over this link nothing is read any more; others may have its tickets, too.
    for ticket in old?.lender?.close() ?? [] where !lenders.contains(where: { $0.isLent(ticket) }) {
      let whenQuiet = state.withLock { $0.waiting.removeValue(forKey: ticket) }
      whenQuiet?()
    }
  }

  func close() {
    let links = state.withLock { Array($0.links.keys) }
    for link in links { end(link: link) }
  }
}
