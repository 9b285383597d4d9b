import ControlProtocol
import KVCore
import Verbs

/// One start of one engine at the other end of a link.
struct LinkPeer: Hashable, Sendable {
  let engine: EngineID
  let incarnation: Incarnation
}

/// A way to read a peer's memory. One value serves all links of an engine; callable from any
/// thread.
protocol Transport: Sendable {
  var kind: TransportKind { get }

  /// What it works with, for the log; nil where there is nothing to say.
  var summary: String? { get }

  /// Does what takes time and is needed for a region, whatever link will use it. May block for
  /// long.
  func prepare(_ region: MemoryRegion) throws(BatonError)

  /// A new link. `onPeerDeath` is called at most once, when the transport learns that the peer's
  /// process has ended; it must not block.
  func begin(link: LinkID, onPeerDeath: @escaping @Sendable () -> Void)

  /// Throws `invalidArgument` if peers could not reach `region` together with `registered`, the
  /// link's earlier ones.
  func register(_ region: MemoryRegion, with registered: [MemoryRegion]) throws(BatonError)

  /// Writes into `info` what `peer` needs to connect; a new one for each call, which ends the
  /// link's last one. A side that only reads offers nothing, and says that it can.
  func offer(
    link: LinkID, peer: LinkPeer, regions: [MemoryRegion], in info: inout EndpointInfo
  ) throws(BatonError)

  /// Hears, at the side whose memory is read and before `offer`, how the side that reads is
  /// reached. Blocks, for a bounded time.
  func admit(link: LinkID, peer: LinkPeer, remote: EndpointInfo) throws(BatonError)

  /// Lets the peer of a link read `extents` under `ticket`. May wait for a device, for some
  /// microseconds.
  func grant(_ ticket: TicketID, extents: [RegionExtent], link: LinkID) -> TicketAccess

  /// Ends what `grant` began. `whenQuiet` is called once nothing under the ticket can be read any
  /// more, on this thread or another; it must not block.
  ///
  /// - Parameter readerIsDone: the peer has said that it reads nothing more under the ticket.
  func revoke(
    _ ticket: TicketID, readerIsDone: Bool, whenQuiet: @escaping @Sendable () -> Void)

  /// The peer has said that it reads nothing more under `ticket`, which may have been taken back.
  func readerIsDone(_ ticket: TicketID)

  /// Reaches `peer`'s regions. Blocks, for a bounded time. Called only with an endpoint that has
  /// this transport.
  func connect(
    link: LinkID, peer: LinkPeer, remote: EndpointInfo
  ) throws(BatonError) -> any TransportConnection

  /// What a device has reported.
  func note(_ event: DeviceEvent, ofDevice name: String)

  /// Whether `onPeerDeath` will be called if the peer of a link dies now.
  func watchesPeer(of link: LinkID) -> Bool

  /// Whether the transport knows that the process at the other end of a link has ended.
  func peerHasEnded(of link: LinkID) -> Bool

  /// Takes back what `offer` gave out for a link, and what `connect` learned of its peer.
  func withdraw(link: LinkID)

  /// Ends what `begin` began.
  func end(link: LinkID)

  /// Ends the transport, and whatever waits in it.
  func close()
}

extension Transport {
  var summary: String? { nil }
  func prepare(_ region: MemoryRegion) throws(BatonError) {}
  func begin(link: LinkID, onPeerDeath: @escaping @Sendable () -> Void) {}
  func register(_ region: MemoryRegion, with registered: [MemoryRegion]) throws(BatonError) {}
  func admit(link: LinkID, peer: LinkPeer, remote: EndpointInfo) throws(BatonError) {}
  func grant(_ ticket: TicketID, extents: [RegionExtent], link: LinkID) -> TicketAccess {
    TicketAccess()
  }
  func readerIsDone(_ ticket: TicketID) {}
  func note(_ event: DeviceEvent, ofDevice name: String) {}

  func revoke(
    _ ticket: TicketID, readerIsDone: Bool, whenQuiet: @escaping @Sendable () -> Void
  ) { whenQuiet() }

  func watchesPeer(of link: LinkID) -> Bool { false }
  func peerHasEnded(of link: LinkID) -> Bool { false }
}

/// One side's access to a peer's regions.
protocol TransportConnection: Sendable {
  /// The lengths of the peer's regions.
  var regions: [RegionKey: ByteCount] { get }

  /// Reads everything in `plan`, whose bounds have been checked against `regions`. Blocks; when it
  /// returns, nobody writes to the plan's targets any more.
  ///
  /// - Parameters:
  ///   - grant: under which the peer lets it be read; nil where the transport asks for none.
  ///   - cancellation: looked at between pieces.
  func read(
    _ plan: MigrationPlan, under grant: ReadGrant?, cancellation: MigrationCancellation?
  ) -> ReadResult

  /// The region in place, or nil where this transport can only read pieces.
  func mappedRegion(_ key: RegionKey) -> MappedRegion?

  /// Ends reads that are under way, and refuses others.
  func close()
}

extension TransportConnection {
  func mappedRegion(_ key: RegionKey) -> MappedRegion? { nil }
  func close() {}
}

/// What became of a plan's reads.
enum ReadResult: Sendable {
  case complete
  /// The first block that was found not to be as the plan's checks say; of what the plan had after
  /// it, some may have been read.
  case mismatch(BlockMismatch)
  /// It ended early; `missing` is what has not been read, or not wholly.
  case failed(BatonError, missing: MigrationPlan)
}
