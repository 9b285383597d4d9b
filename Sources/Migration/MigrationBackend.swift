package import ControlProtocol
package import KVCore
import Synchronization

/// One engine's side of all its links: who may read which memory of ours, and whose we read.
///
/// A link is set up by `initialize`, `registerMemoryRegion`, `endpointInfo` and `connect`, on both
/// sides, and used by `migrate` and `remoteRegion`. Callable from any thread.
package final class MigrationBackend: Sendable {
  private enum Phase: Sendable {
    case initialized
    case connecting
    case connected(any TransportConnection)
  }

  private struct Link: Sendable {
    let peer: LinkPeer
    /// Tells this link from a later one of the same id.
    let serial: UInt64
    /// In the order of their registration.
    var regions: [MemoryRegion] = []
    var phase = Phase.initialized
  }

  private struct State: Sendable {
    var links: [LinkID: Link] = [:]
    var nextSerial: UInt64 = 0
  }

  private let transport: any Transport
  private let state = Mutex(State())

  /// Starts to serve: from now on peers that were given an endpoint can fetch it.
  ///
  /// Throws `resourceExhausted` if the system gives no more descriptors or threads.
  package init(engine: EngineID, incarnation: Incarnation) throws(BatonError) {
    transport = try SharedMemoryTransport(
      identity: LinkPeer(engine: engine, incarnation: incarnation))
  }

  // MARK: Setting up

  /// A new link to one start of one engine.
  ///
  /// - Parameter onPeerDeath: called at most once, when the transport learns that the peer's
  ///   process has ended, perhaps before any socket says so. It is called on a thread of the
  ///   transport's and must not block.
  ///
  /// Throws `invalidArgument` if the link exists: it must be disconnected first, so that what it
  /// holds is never overwritten; `resourceExhausted` if there are too many.
  package func initialize(
    link: LinkID, remote: EngineID, remoteIncarnation: Incarnation,
    onPeerDeath: @escaping @Sendable () -> Void = {}
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
        peer: LinkPeer(engine: remote, incarnation: remoteIncarnation), serial: state.nextSerial)
      transport.begin(link: link, onPeerDeath: onPeerDeath)
    }
  }

  /// Lets the link use `region`: as a source for the peer where it is shared, as a target of
  /// `migrate` where it has an address.
  ///
  /// Throws `invalidArgument` for a key that is taken, a region that is empty, or one that peers
  /// could not reach together with the link's others.
  package func registerMemoryRegion(_ region: MemoryRegion, link: LinkID) throws(BatonError) {
    guard region.length > .zero, region.address != 0 else {
      throw BatonError(.invalidArgument, "region \(region.key) is empty or at address 0")
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
      try transport.register(region, with: entry.regions)
      entry.regions.append(region)
      state.links[link] = entry
    }
  }

  /// What the peer needs for its `connect`; good once, and void when called again.
  package func endpointInfo(link: LinkID) throws(BatonError) -> EndpointInfo {
    // Under the lock, so that a link that is disconnected at the same time leaves no offer behind.
    try state.withLock { (state) throws(BatonError) in
      let entry = try Self.link(link, in: state)
      return try transport.endpointInfo(link: link, peer: entry.peer, regions: entry.regions)
    }
  }

  /// Reaches the peer's regions: its memory is mapped and populated when this returns.
  ///
  /// Throws `BatonError`: `unauthenticated`, `peerGone`, `deadlineExceeded` or `incompatible` as
  /// the transport finds, after which it may be called again; `cancelled` if the link was
  /// disconnected meanwhile.
  package func connect(link: LinkID, remote: EndpointInfo) async throws {
    let entry = try state.withLock { (state) throws(BatonError) in
      let entry = try Self.link(link, in: state)
      guard case .initialized = entry.phase else {
        throw BatonError(.invalidArgument, "link \(link) is connected or about to be")
      }
      state.links[link]?.phase = .connecting
      return entry
    }
    let connection: any TransportConnection
    do {
      connection = try await transport.connect(link: link, peer: entry.peer, remote: remote)
    } catch {
      _ = move(link, entry.serial, to: .initialized)
      throw BatonError(wrapping: error)
    }
    guard move(link, entry.serial, to: .connected(connection)) else {
      throw BatonError(.cancelled, "link \(link) was disconnected while it was connecting")
    }
  }

  // MARK: Using

  /// Reads every piece of `batch` from the peer's regions into ours. Blocks until all bytes are
  /// there, so it is called on a thread that may wait.
  ///
  /// All pieces are checked before the first byte moves. Throws `invalidArgument` for one that
  /// does not fit, `unavailable` if the link is not connected, and what the transport finds.
  package func migrate(
    link: LinkID, batch: [MigrationItem]
  ) throws(BatonError) -> MigrationOutcome {
    let (connection, regions) = try connected(link)
    return try connection.migrate(batch, into: regions)
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
        .unimplemented, "regions cannot be mapped over \(transport.name) (link \(link))")
    }
    return region
  }

  /// Whether `onPeerDeath` will be called if the link's peer dies now; a peer may offer nothing to
  /// tell by, and a kernel may lack what it takes.
  package func watchesPeer(of link: LinkID) -> Bool { transport.watchesPeer(of: link) }

  /// Whether it is known that the process at the other end of the link has ended, and not only a
  /// connection to it.
  package func peerHasEnded(link: LinkID) -> Bool { transport.peerHasEnded(of: link) }

  /// What the link reads the peer with, for who goes on after the link has ended.
  func connection(of link: LinkID) throws(BatonError) -> any TransportConnection {
    try connected(link).0
  }

  // MARK: Ending

  /// Gives up what this side holds of the peer and takes back what it offered; regions stay
  /// registered, and the link can be connected again. Memory that is still borrowed stays mapped.
  package func release(link: LinkID) {
    // What the link held is let go after the lock, here and below: unmapping takes time.
    _ = state.withLock { state in
      transport.withdraw(link: link)
      let old = state.links[link]
      // A new serial, so that a `connect` that is under way does not bring the connection back.
      state.nextSerial += 1
      state.links[link] = old.map { old in
        Link(peer: old.peer, serial: state.nextSerial, regions: old.regions)
      }
      return old
    }
  }

  /// Ends the link; ending one that does not exist does nothing. Memory that is still borrowed
  /// stays mapped, and a `migrate` that is under way comes to its end.
  package func disconnect(link: LinkID) {
    _ = state.withLock { state in
      transport.end(link: link)
      return state.links.removeValue(forKey: link)
    }
  }

  /// Links that exist now.
  package var linkCount: Int { state.withLock { $0.links.count } }

  deinit { transport.close() }

  // MARK: Helpers

  private static func link(_ id: LinkID, in state: State) throws(BatonError) -> Link {
    guard let link = state.links[id] else {
      throw BatonError(.unavailable, "link \(id) does not exist on this side")
    }
    return link
  }

  private func connected(
    _ id: LinkID
  ) throws(BatonError) -> (any TransportConnection, [MemoryRegion]) {
    try state.withLock { (state) throws(BatonError) in
      let link = try Self.link(id, in: state)
      guard case .connected(let connection) = link.phase else {
        throw BatonError(.unavailable, "link \(id) to \(link.peer.engine) is not connected")
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
