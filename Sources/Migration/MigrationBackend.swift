package import ControlProtocol
package import KVCore
import Platform
import Synchronization
package import Verbs

/// One engine's side of all its links: who may read which memory of ours, and whose we read.
///
/// A link is set up by `initialize`, `registerMemoryRegion`, `endpointInfo` and `connect`, on both
/// sides, and used by `migrate` and `remoteRegion`. Callable from any thread.
package final class MigrationBackend: Sendable {
  /// Told when a transport cannot be used for a link, or not any more; must not block.
  ///
  /// - Parameters: which one, why, and whether it had been in use.
  package typealias TransportFailureHandler = @Sendable (TransportKind, BatonError, Bool) -> Void

  private enum Phase: Sendable {
    case initialized
    case connecting
    /// Nil where the peer only reads.
    case connected(LinkConnection?)
  }

  private struct Link: Sendable {
    let peer: LinkPeer
    let onTransportFailure: TransportFailureHandler
    /// Tells this link from a later one of the same id.
    let serial: UInt64
    /// In the order of their registration.
    var regions: [MemoryRegion] = []
    var phase = Phase.initialized

    func close() {
      if case .connected(let connection) = phase { connection?.close() }
    }
  }

  private struct State: Sendable {
    var links: [LinkID: Link] = [:]
    var nextSerial: UInt64 = 0
  }

  /// The best first.
  private let transports: [any Transport]
  private let state = Mutex(State())

  /// Starts to serve: from now on peers that were given an endpoint can fetch it.
  ///
  /// Throws `resourceExhausted` if the system gives no more descriptors or threads, `unavailable`
  /// for an address of `options` that cannot be served, and where no transport is left.
  package init(
    engine: EngineID, incarnation: Incarnation, options: MigrationOptions = MigrationOptions()
  ) throws(BatonError) {
    let identity = LinkPeer(engine: engine, incarnation: incarnation)
    var transports: [any Transport] = []
    for kind in TransportKind.allCases where options.transports.contains(kind) {
      switch kind {
      case .sharedMemory: transports.append(try SharedMemoryTransport(identity: identity))
      case .rdma:
        if let transport = try RDMATransport(options: options) { transports.append(transport) }
      case .tcp:
        transports.append(try TCPTransport(options: options))
      }
    }
    guard !transports.isEmpty else {
      throw BatonError(
        .unavailable,
        "none of the transports \(options.transports.map(\.description).joined(separator: ", ")) "
          + "can be had: this machine has no RDMA port that is up; baton doctor says more")
    }
    self.transports = transports
  }

  /// What each transport works with, for the log.
  package var summaries: [String] { transports.compactMap(\.summary) }

  /// Does for regions what takes time, before any link wants it: memory that a device is to reach
  /// is pinned. Blocks. Returns which transports cannot have a region, and why.
  package func prepare(_ regions: [MemoryRegion]) -> [(transport: TransportKind, error: BatonError)]
  {
    var failures: [(TransportKind, BatonError)] = []
    for transport in transports {
      for region in regions {
        do throws(BatonError) {
          try transport.prepare(region)
        } catch {
          failures.append((transport.kind, error))
        }
      }
    }
    return failures
  }

  // MARK: Setting up

  /// A new link to one start of one engine.
  ///
  /// - Parameter onPeerDeath: called at most once, when the transport learns that the peer's
  ///   process has ended, perhaps before any socket says so. It is called on a thread of the
  ///   transport's and must not block.
  /// - Parameter onTransportFailure: called on the thread that found out.
  ///
  /// Throws `invalidArgument` if the link exists: it must be disconnected first, so that what it
  /// holds is never overwritten; `resourceExhausted` if there are too many.
  package func initialize(
    link: LinkID, remote: EngineID, remoteIncarnation: Incarnation,
    onPeerDeath: @escaping @Sendable () -> Void = {},
    onTransportFailure: @escaping TransportFailureHandler = { _, _, _ in }
  ) throws(BatonError) {
    try state.withLock { (state) throws(BatonError) in
      guard state.links[link] == nil else {
        throw BatonError(.invalidArgument, "link \(link) to \(remote) exists already")
      }
      guard state.links.count < MigrationLimits.maximumLinks else {
        throw BatonError(
          .resourceExhausted,
          "link \(link) to \(remote): this engine has \(state.links.count) links, the most allowed")
      }
      state.nextSerial += 1
      state.links[link] = Link(
        peer: LinkPeer(engine: remote, incarnation: remoteIncarnation),
        onTransportFailure: onTransportFailure, serial: state.nextSerial)
      for transport in transports { transport.begin(link: link, onPeerDeath: onPeerDeath) }
    }
  }

  /// Lets the link use `region`: as a source for the peer where it is shared, as a target of
  /// `migrate` where it has an address.
  ///
  /// Throws `invalidArgument` for a key that is taken, a region that is empty, or one that peers
  /// could not reach together with the link's others.
  package func registerMemoryRegion(_ region: MemoryRegion, link: LinkID) throws(BatonError) {
    guard region.length > .zero, region.unit > .zero, region.address != 0 else {
      throw BatonError(
        .invalidArgument, "region \(region.key) is empty, of empty units, or at address 0")
    }
    try state.withLock { (state) throws(BatonError) in
      var entry = try Self.link(link, in: state)
      guard !entry.regions.contains(where: { $0.key == region.key }),
        entry.regions.count < MigrationLimits.maximumRegions
      else {
        throw BatonError(
          .invalidArgument,
          "region \(region.key) of link \(link): the key is taken, or there are more than "
            + "\(MigrationLimits.maximumRegions) regions")
      }
      for transport in transports { try transport.register(region, with: entry.regions) }
      entry.regions.append(region)
      state.links[link] = entry
    }
  }

  /// What the peer needs for its `connect`; good once, and void when called again.
  package func endpointInfo(link: LinkID) throws(BatonError) -> EndpointInfo {
    // Under the lock, so that a link that is disconnected at the same time leaves no offer behind.
    try state.withLock { (state) throws(BatonError) in
      let entry = try Self.link(link, in: state)
      var info = EndpointInfo()
      var failure: BatonError?
      for transport in transports {
        do throws(BatonError) {
          try transport.offer(link: link, peer: entry.peer, regions: entry.regions, in: &info)
        } catch {
          failure = error
          entry.onTransportFailure(transport.kind, error, false)
        }
      }
      // One transport is enough.
      if let failure, !info.canBeUsed { throw failure }
      return info
    }
  }

  /// Reaches the peer's regions, over the best transport that works: what can be mapped is mapped
  /// and populated when this returns.
  ///
  /// Throws `BatonError`: `incompatible` if both sides have no transport in common, and what the
  /// last transport finds, `unauthenticated`, `peerGone`, `deadlineExceeded` or `incompatible`,
  /// after which it may be called again; `cancelled` if the link was disconnected meanwhile.
  package func connect(link: LinkID, remote: EndpointInfo) async throws {
    let entry = try state.withLock { (state) throws(BatonError) in
      let entry = try Self.link(link, in: state)
      guard case .initialized = entry.phase else {
        throw BatonError(.invalidArgument, "link \(link) is connected or about to be")
      }
      state.links[link]?.phase = .connecting
      return entry
    }
    let connection: LinkConnection?
    do {
      let common = transports.filter { remote.transports.contains($0.kind) }
      guard !common.isEmpty else { throw nothingInCommon(with: remote, of: entry.peer.engine) }
      connection = try await PlatformThread.run(name: "baton-connect") {
        guard remote.offersMemory else {
          Self.admit(entry, link: link, remote: remote, transports: common)
          return nil
        }
        return try LinkConnection(
          link: link, peer: entry.peer, remote: remote, transports: common,
          onFailure: entry.onTransportFailure)
      }
    } catch {
      _ = move(link, entry.serial, to: .initialized)
      throw BatonError(wrapping: error)
    }
    guard move(link, entry.serial, to: .connected(connection)) else {
      connection?.close()
      throw BatonError(.cancelled, "link \(link) was disconnected while it was connecting")
    }
  }

  /// The other side only reads: a transport by which it cannot is not offered.
  private static func admit(
    _ entry: Link, link: LinkID, remote: EndpointInfo, transports: [any Transport]
  ) {
    for transport in transports {
      do throws(BatonError) {
        try transport.admit(link: link, peer: entry.peer, remote: remote)
      } catch {
        entry.onTransportFailure(transport.kind, error, false)
      }
    }
  }

  private func nothingInCommon(with remote: EndpointInfo, of peer: EngineID) -> BatonError {
    func list(_ kinds: [TransportKind]) -> String {
      kinds.isEmpty ? "none" : kinds.map(\.description).joined(separator: ", ")
    }
    return BatonError(
      .incompatible,
      "\(peer) offers these transports: \(list(remote.transports)); here there are "
        + list(transports.map(\.kind)))
  }

  // MARK: Lending

  /// Lets the peer of `link` read `extents` of the regions that are shared with it under `ticket`,
  /// until `revoke`; returns what the peer needs for that. Peers that map the memory are not asked
  /// for a ticket: stamps tell them. May wait for a device, for some microseconds.
  package func grant(
    _ ticket: TicketID, extents: [RegionExtent], link: LinkID
  ) -> TicketAccess {
    var access = TicketAccess()
    for transport in transports {
      let part = transport.grant(ticket, extents: extents, link: link)
      if part.protection != nil { access = part }
    }
    return access
  }

  /// Takes a ticket back. `whenQuiet` is called once nothing more can be read of it, on this thread
  /// or another, and its memory may then be used for something else; it must not block.
  ///
  /// - Parameter readerIsDone: the peer has said that it reads nothing more under the ticket.
  package func revoke(
    _ ticket: TicketID, readerIsDone: Bool, whenQuiet: @escaping @Sendable () -> Void
  ) {
    let remaining = Remaining(transports.count, whenDone: whenQuiet)
    for transport in transports {
      transport.revoke(ticket, readerIsDone: readerIsDone) { remaining.countDown() }
    }
  }

  /// The peer has said that it reads nothing more under `ticket`, though it may have been taken
  /// back before.
  package func readerIsDone(_ ticket: TicketID) {
    for transport in transports { transport.readerIsDone(ticket) }
  }

  // MARK: Using

  /// Reads every piece of `batch` from the peer's regions into ours. Blocks until all bytes are
  /// there, so it is called on a thread that may wait.
  ///
  /// - Parameter grant: what the peer has granted the pieces by; mapped memory needs none.
  ///
  /// All pieces are checked before the first byte moves. Throws `invalidArgument` for one that
  /// does not fit, `unavailable` if the link is not connected, and what the transport finds.
  package func migrate(
    link: LinkID, batch: [MigrationItem], under grant: ReadGrant? = nil
  ) throws(BatonError) -> MigrationOutcome {
    let (connection, regions) = try connected(link)
    let plan = try MigrationPlan(batch: batch, local: regions, remote: connection.regions)
    // The plan has addresses only: a `disconnect` meanwhile must not end a region's owner.
    defer { withExtendedLifetime(regions) {} }
    let mismatch = try connection.read(plan, under: grant)
    precondition(mismatch == nil, "a plan without checks cannot fail them")
    return plan.outcome
  }

  /// A region of the peer in place.
  ///
  /// Throws `invalidArgument` if the peer has none of that key, `unimplemented` if the link's
  /// transport cannot map, `unavailable` if the link is not connected.
  package func remoteRegion(link: LinkID, key: RegionKey) throws(BatonError) -> MappedRegion {
    let (connection, _) = try connected(link)
    guard connection.regions[key] != nil else {
      throw BatonError(.invalidArgument, "the peer of link \(link) has no region \(key)")
    }
    guard let region = connection.mappedRegion(key) else {
      throw BatonError(
        .unimplemented, "regions cannot be mapped over \(connection.kind) (link \(link))")
    }
    return region
  }

  /// Whether `onPeerDeath` will be called if the link's peer dies now; a peer may offer nothing to
  /// tell by, and a kernel may lack what it takes.
  package func watchesPeer(of link: LinkID) -> Bool {
    transports.contains { $0.watchesPeer(of: link) }
  }

  /// Whether it is known that the process at the other end of the link has ended, and not only a
  /// connection to it.
  package func peerHasEnded(link: LinkID) -> Bool {
    transports.contains { $0.peerHasEnded(of: link) }
  }

  /// What the link reads the peer with, for who goes on after the link has ended.
  func connection(of link: LinkID) throws(BatonError) -> LinkConnection {
    try connected(link).0
  }

  /// An RDMA device has reported this, to somebody else than its transport.
  package func note(_ event: DeviceEvent, ofDevice name: String) {
    for transport in transports { transport.note(event, ofDevice: name) }
  }

  // MARK: Ending

  /// Gives up what this side holds of the peer and takes back what it offered; regions stay
  /// registered, and the link can be connected again. Memory that is still borrowed stays mapped.
  package func release(link: LinkID) {
    // What the link held is let go after the lock, here and below: unmapping takes time.
    let old = state.withLock { state in
      for transport in transports { transport.withdraw(link: link) }
      let old = state.links[link]
      // A new serial, so that a `connect` that is under way does not bring the connection back.
      state.nextSerial += 1
      state.links[link] = old.map { old in
        Link(
          peer: old.peer, onTransportFailure: old.onTransportFailure, serial: state.nextSerial,
          regions: old.regions)
      }
      return old
    }
    old?.close()
  }

  /// Ends the link; ending one that does not exist does nothing. Memory that is still borrowed
  /// stays mapped; a `migrate` that is under way fails where it does not read mapped memory.
  package func disconnect(link: LinkID) {
    let old = state.withLock { state in
      for transport in transports { transport.end(link: link) }
      return state.links.removeValue(forKey: link)
    }
    old?.close()
  }

  /// Links that exist now.
  package var linkCount: Int { state.withLock { $0.links.count } }

  deinit {
    for transport in transports { transport.close() }
  }

  // MARK: Helpers

  private static func link(_ id: LinkID, in state: State) throws(BatonError) -> Link {
    guard let link = state.links[id] else {
      throw BatonError(.unavailable, "link \(id) does not exist on this side")
    }
    return link
  }

  private func connected(
    _ id: LinkID
  ) throws(BatonError) -> (LinkConnection, [MemoryRegion]) {
    try state.withLock { (state) throws(BatonError) in
      let link = try Self.link(id, in: state)
      guard case .connected(let connection) = link.phase else {
        throw BatonError(.unavailable, "link \(id) to \(link.peer.engine) is not connected")
      }
      guard let connection else {
        throw BatonError(
          .invalidArgument, "\(link.peer.engine) offers nothing to read over link \(id)")
      }
      return (connection, link.regions)
    }
  }

  /// Whether the link is still the one that `connect` was called for.
  private func move(_ id: LinkID, _ serial: UInt64, to phase: Phase) -> Bool {
    state.withLock { state in
      guard let link = state.links[id], link.serial == serial else { return false }
      state.links[id]?.phase = phase
      return true
    }
  }
}
