import ControlProtocol
import KVCore

/// One start of one engine at the other end of a link.
struct LinkPeer: Hashable, Sendable {
  let engine: EngineID
  let incarnation: Incarnation
}

/// A way to read a peer's memory. One value serves all links of an engine; callable from any
/// thread.
protocol Transport: Sendable {
  /// As in `EndpointInfo.transport`.
  var name: String { get }

  /// A new link. `onPeerDeath` is called at most once, when the transport learns that the peer's
  /// process has ended; it must not block.
  func begin(link: LinkID, onPeerDeath: @escaping @Sendable () -> Void)

  /// Throws `invalidArgument` if peers could not reach `region` together with `registered`, the
  /// link's earlier ones.
  func register(_ region: MemoryRegion, with registered: [MemoryRegion]) throws(BatonError)

  /// What `peer` needs to connect; a new one for each call, which ends the link's last one.
  func endpointInfo(
    link: LinkID, peer: LinkPeer, regions: [MemoryRegion]
  ) throws(BatonError) -> EndpointInfo

  /// Reaches `peer`'s regions. Bounded in time.
  func connect(
    link: LinkID, peer: LinkPeer, remote: EndpointInfo
  ) async throws -> any TransportConnection

  /// Whether `onPeerDeath` will be called if the peer of a link dies now.
  func watchesPeer(of link: LinkID) -> Bool

  /// Whether the transport knows that the process at the other end of a link has ended.
  func peerHasEnded(of link: LinkID) -> Bool

  /// Takes back what `endpointInfo` gave out for a link, and what `connect` learned of its peer.
  func withdraw(link: LinkID)

  /// Ends what `begin` began.
  func end(link: LinkID)

  /// Ends the transport, and whatever waits in it.
  func close()
}

extension TransportConnection {
  /// Reads every piece of `batch` into this side's regions; all are checked before the first byte
  /// moves. Blocks. Throws `invalidArgument` for a piece that does not fit, and as `read` does.
  func migrate(
    _ batch: [MigrationItem], into regions: [MemoryRegion]
  ) throws(BatonError) -> MigrationOutcome {
    let local = Dictionary(uniqueKeysWithValues: regions.map { ($0.key, $0) })
    let plan = try MigrationPlan(batch: batch, local: local, remote: self.regions)
    // The plan has addresses only: a `disconnect` meanwhile must not end a region's owner.
    defer { withExtendedLifetime(regions) {} }
    let mismatch = try read(plan)
    precondition(mismatch == nil, "a plan without checks cannot fail them")
    return plan.outcome
  }
}

/// One side's access to a peer's regions; closed when the last reference is gone.
protocol TransportConnection: Sendable {
  /// The lengths of the peer's regions.
  var regions: [RegionKey: ByteCount] { get }

  /// Reads everything in `plan`, whose bounds have been checked against `regions`. Blocks.
  ///
  /// Returns the first block that is not as the plan's checks say; nothing after it is then read.
  func read(_ plan: MigrationPlan) throws(BatonError) -> BlockMismatch?

  /// The region in place, or nil where this transport can only read pieces.
  func mappedRegion(_ key: RegionKey) -> MappedRegion?
}
