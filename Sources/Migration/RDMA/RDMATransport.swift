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
    /// The reader's queue pairs; nil until the link is offered.
    var lanes: RDMALanes?
    var isConnected = false
    /// The reader's targets.
    var regions: [MemoryRegion] = []
    /// The owner's side; nil until the reader is admitted.
    var lender: RDMALender?
    /// The owner's answer, made when the reader was admitted.
    var answer: [RDMAEndpoint.Lane] = []
    /// Whether the reader can be admitted, if not now, by another link: its lanes do not fail to
    /// fit this side's.
    var mayBeAdmitted = true
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
  /// Nil until the transport is whole, and when it is closed.
  private let events = Mutex<DeviceEvents?>(nil)
  /// What peers READ to see whether they reach this engine.
  private let proof = ScratchMemory(byteCount: RDMAEndpoint.Proof.byteCount)
  /// By where the memory lies and how it is used. Held while memory is pinned, so that this happens
  /// once.
  private let registrations = Mutex<[String: RDMARegistration]>([:])

  /// Nil where there is no device.
  ///
  /// Throws `invalidArgument` for a GID index that no port has.
  init?(options: MigrationOptions) throws(BatonError) {
    hardware = try RDMAHardware(gidIndex: options.gidIndex)
    guard !hardware.devices.isEmpty else { return nil }
    self.options = options
    let events = try DeviceEvents(of: hardware.devices) { [weak self] device, event in
      self?.note(event, of: device)
    }
    self.events.withLock { $0 = events }
  }

  func begin(link: LinkID, onPeerDeath: @escaping @Sendable () -> Void) {
    state.withLock { $0.links[link] = Link() }
  }

  func prepare(_ region: MemoryRegion) throws(BatonError) {
    try prepare(region, on: hardware.activePorts())
  }

  private func prepare(
    _ region: MemoryRegion, on ports: [RDMAHardware.Port]
  ) throws(BatonError) {
    if let address = region.sourceAddress {
      _ = try registration(of: region, address: address, use: .readByPeers, on: ports)
    }
    if let address = region.address {
      _ = try registration(of: region, address: address, use: .targetOfReads, on: ports)
    }
  }

  var summary: String? {
    let active = hardware.activePorts()
    let ports = active.map { port in
      let kind = port.port.isEthernet ? "RoCE" : "InfiniBand"
      return "\(port.device.name) port \(port.port.number) (\(kind))"
    }
    let protection =
      hardware.devices.allSatisfy(\.limits.hasWindows)
      ? "memory windows" : "no memory windows: peers with a ticket may read the whole pool"
    let pinned = registrations.withLock { $0.values.map(\.summary).sorted() }
    let names = ports.isEmpty ? "no port is up" : ports.joined(separator: ", ")
    return (["rdma: \(names)", protection] + pinned).joined(separator: "; ")
  }

  /// The region's registration, made the first time.
  private func registration(
    of region: MemoryRegion, address: UInt, use: RegisteredMemory.Use,
    on ports: [RDMAHardware.Port]
  ) throws(BatonError) -> RDMARegistration {
    let name =
      "\(region.key): \(address)+\(region.length.rawValue) of \(region.unit.rawValue) \(use)"
    return try registrations.withLock { (registrations) throws(BatonError) in
      if let known = registrations[name] {
        try known.cover(ports)
        return known
      }
      // As much as every device takes as one region.
      let most = ports.map { Int(clamping: $0.device.limits.regionBytes) }.min() ?? Int.max
      let made = try RDMARegistration(
        region, address: address, use: use, ports: ports,
        sectionBytes: min(most, options.registrationBytes.rawValue))
      registrations[name] = made
      return made
    }
  }

  // MARK: Setting up

  func offer(
    link: LinkID, peer: LinkPeer, regions: [MemoryRegion], in info: inout EndpointInfo
  ) throws(BatonError) {
    let shared = regions.filter { $0.sourceAddress != nil }
    guard !shared.isEmpty else {
      let lanes = try RDMALanes(
        ports: hardware.activePorts(), count: options.lanes, peerReads: false)
      for region in regions { try prepare(region, on: lanes.ports) }
      // The side that reads tells of its queue pairs first.
      state.withLock { state in
        state.links[link]?.lanes = lanes
        state.links[link]?.regions = regions
      }
      info.rdma = RDMAEndpoint(
        ports: lanes.ports.map(\.info), lanes: lanes.info(peerReads: false))
      return
    }
    guard let entry = state.withLock({ $0.links[link] }), entry.mayBeAdmitted else { return }
    let told = shared.compactMap { region in
      region.sourceAddress.map {
        RDMAEndpoint.Region(key: region.key, length: region.length, address: UInt64($0))
      }
    }
    guard let ports = entry.lender?.lanes.ports else {
      // Another link may have lanes, once a port is up that is down now: the reader tries.
      info.rdma = RDMAEndpoint(ports: [], lanes: [], regions: told)
      return
    }
    var sources: [RegionKey: RDMARegistration] = [:]
    for region in shared {
      guard let address = region.sourceAddress else { continue }
      sources[region.key] = try registration(
        of: region, address: address, use: .readByPeers, on: ports)
    }
    let proven = try registration(
      of: MemoryRegion(
        key: RegionKey(0), length: ByteCount(RDMAEndpoint.Proof.byteCount), address: nil,
        sharing: .memory(address: proof.address), owner: proof),
      address: proof.address, use: .readByPeers, on: ports)
    state.withLock { [sources] in $0.links[link]?.sources = sources }
    info.rdma = RDMAEndpoint(
      ports: ports.map(\.info), lanes: entry.answer, regions: told,
      proof: RDMAEndpoint.Proof(
        address: UInt64(proof.address), remoteKeys: proven.windows(on: ports)[0].remoteKeys))
  }

  func admit(link: LinkID, peer: LinkPeer, remote: EndpointInfo) throws(BatonError) {
    guard let endpoint = remote.rdma else { return }
    do throws(BatonError) {
      try admit(link: link, peer: peer, endpoint)
    } catch {
      let mayBeAdmitted = error.code == .unavailable
      state.withLock { $0.links[link]?.mayBeAdmitted = mayBeAdmitted }
      throw error
    }
  }

  private func admit(
    link: LinkID, peer: LinkPeer, _ endpoint: RDMAEndpoint
  ) throws(BatonError) {
    let count = min(endpoint.lanes.count, options.lanes)
    guard count > 0 else {
      throw BatonError(.invalidArgument, "\(peer.engine) has no queue pairs for link \(link)")
    }
    let lanes = try RDMALanes(ports: hardware.activePorts(), count: count, peerReads: true)
    var answer = lanes.info(peerReads: true)
    for (place, lane) in lanes.lanes.enumerated() {
      let theirs = endpoint.lanes[place]
      guard endpoint.ports.indices.contains(theirs.port) else {
        throw BatonError(.invalidArgument, "\(peer.engine) has no RDMA port \(theirs.port)")
      }
      let port = endpoint.ports[theirs.port]
      let own = lanes.ports[lane.port]
      let pair = try Self.gids(own: own, peer: port, of: peer.engine)
      try lanes.connect(
        lane, to: theirs, on: port,
        gids: pair.map { (own.port.gids[$0.own].index, port.gids[$0.peer].gid) },
        peerReads: true, options: options)
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
      throw BatonError(
        .unavailable,
        "\(peer.engine) offers no queue pairs: no RDMA port of its machine or of this one is up")
    }
    let (held, regions) = state.withLock { state in
      defer { state.links[link]?.isConnected = true }
      let entry = state.links[link]
      return (entry?.isConnected == false ? entry?.lanes : nil, entry?.regions ?? [])
    }
    guard let lanes = held, endpoint.lanes.count <= lanes.lanes.count else {
      throw BatonError(
        .unavailable, "link \(link) has no queue pairs to connect with \(peer.engine)'s")
    }
    for (lane, theirs) in zip(lanes.lanes, endpoint.lanes) {
      let own = lanes.ports[lane.port].port
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
      try lanes.connect(
        lane, to: theirs, on: port, gids: gids, peerReads: false, options: options)
    }
    var targets: [RDMARegistration] = []
    for region in regions {
      guard let address = region.address else { continue }
      targets.append(
        try registration(of: region, address: address, use: .targetOfReads, on: lanes.ports))
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
    forget(old?.lender?.close() ?? [])
  }

  // MARK: Events

  func note(_ event: DeviceEvent, ofDevice name: String) {
    for device in hardware.devices where device.name == name { note(event, of: device) }
  }

  /// Queue pairs that a device has lost, and does not bring to ERR itself, are. A port that is down
  /// may be up again before READs over it fail, so they are left to that.
  private func note(_ event: DeviceEvent, of device: DeviceContext) {
    options.onDeviceEvent(device.name, event)
    switch event {
    case .deviceFailed, .completionQueueFailed: fail { $0.use(device) }
    case .queuePairFailed(let number): fail { $0.contain(number, of: device) }
    case .portActive, .portDown, .portChanged, .other: break
    }
  }

  private func fail(_ isMeant: (RDMALanes) -> Bool) {
    let links = state.withLock { Array($0.links.values) }
    for link in links {
      if let lanes = link.lanes, isMeant(lanes) { lanes.fail() }
      if let lender = link.lender, isMeant(lender.lanes) { forget(lender.close()) }
    }
  }

  /// Tells who waits for tickets that cannot be read any more.
  private func forget(_ tickets: [TicketID]) {
    for ticket in tickets where !lenders.contains(where: { $0.isLent(ticket) }) {
      let whenQuiet = state.withLock { $0.waiting.removeValue(forKey: ticket) }
      whenQuiet?()
    }
  }

  func close() {
    events.withLock { events in
      events?.close()
      events = nil
    }
    let links = state.withLock { Array($0.links.keys) }
    for link in links { end(link: link) }
  }
}
