import ControlProtocol
import KVCore
import KVPool
import Platform

/// Reads a peer's memory on the same node by mapping it.
final class SharedMemoryTransport: Transport {
  let kind = TransportKind.sharedMemory
  private let identity: LinkPeer
  private let liveness: LivenessMonitor
  private let server: DescriptorServer

  init(identity: LinkPeer) throws(BatonError) {
    self.identity = identity
    liveness = try LivenessMonitor()
    server = try DescriptorServer(identity: identity, liveness: liveness)
  }

  func begin(link: LinkID, onPeerDeath: @escaping @Sendable () -> Void) {
    liveness.add(link, onDeath: onPeerDeath)
  }

  /// A link's shared regions lie one after the other in one file, each from a page boundary on:
  /// that is all that the endpoint tells, so no offset has to be believed.
  func register(_ region: MemoryRegion, with registered: [MemoryRegion]) throws(BatonError) {
    guard case .file(let file, let offset, _) = region.sharing else { return }
    var expected = ByteCount.zero
    for earlier in registered {
      guard case .file(let earlierFile, let earlierOffset, _) = earlier.sharing else { continue }
      guard earlierFile === file else {
        throw BatonError(
          .invalidArgument,
          "region \(region.key) lies in \(file.name), the link's others in \(earlierFile.name): "
            + "the regions of one link must share one descriptor")
      }
      let end = earlierOffset + earlier.length
      expected = max(expected, SystemMemory.roundUp(end, to: SystemMemory.pageBytes))
    }
    guard offset == expected else {
      throw BatonError(
        .invalidArgument,
        "region \(region.key) starts at \(offset.rawValue) of \(file.name); the next region of "
          + "its link must start at \(expected.rawValue)")
    }
    guard MigrationPlan.fits(offset, region.length, in: file.length) else {
      throw BatonError(
        .invalidArgument,
        "region \(region.key) ends after \(file.name), which has \(file.length.rawValue) bytes")
    }
  }

  func offer(
    link: LinkID, peer: LinkPeer, regions: [MemoryRegion], in info: inout EndpointInfo
  ) throws(BatonError) {
    var shared: [RegionInfo] = []
    var sharedFile: SharedMemoryFile?
    for region in regions {
      guard case .file(let file, _, _) = region.sharing else { continue }
      shared.append(region.info)
      sharedFile = file
    }
    guard let sharedFile else {
      info.sharedMemory = .nothing
      return
    }
    let token = server.offer(link: link, peer: peer, file: sharedFile)
    info.sharedMemory = SharedMemoryEndpoint(
      socketName: server.socketName, token: token, regions: shared)
  }

  func connect(
    link: LinkID, peer: LinkPeer, remote: EndpointInfo
  ) throws(BatonError) -> any TransportConnection {
    guard let endpoint = remote.sharedMemory else {
      throw BatonError(.invalidArgument, "\(peer.engine) offers no shared memory")
    }
    let layout = try Self.offsets(of: endpoint.regions, peer: peer)
    if endpoint.regions.isEmpty { return SharedMemoryConnection(memory: nil, regions: [:]) }
    let (memory, word) = try DescriptorClient.fetch(
      socketName: endpoint.socketName, token: endpoint.token, length: layout.length,
      identity: identity, peer: peer, own: liveness.own(of: link))
    if let word { liveness.watch(link, peer: word) }
    return SharedMemoryConnection(memory: memory, regions: layout.regions)
  }

  func watchesPeer(of link: LinkID) -> Bool { liveness.isWatching(link) }

  func peerHasEnded(of link: LinkID) -> Bool { liveness.hasEnded(link) }

  func withdraw(link: LinkID) {
    server.withdraw(link: link)
    liveness.unwatch(link)
  }

  func end(link: LinkID) {
    server.withdraw(link: link)
    liveness.remove(link)
  }

  func close() {
    server.close()
    liveness.close()
  }

  /// Where the regions lie, from the lengths that the peer told.
  ///
  /// Throws `invalidArgument` for lengths and keys that cannot be.
  static func offsets(
    of regions: [RegionInfo], peer: LinkPeer
  ) throws(BatonError) -> (regions: [RegionKey: SharedMemoryConnection.Region], length: ByteCount) {
    guard regions.count <= MigrationLimits.maximumRegions else {
      throw BatonError(
        .invalidArgument,
        "\(peer.engine) offers \(regions.count) regions; "
          + "\(MigrationLimits.maximumRegions) are allowed")
    }
    var result: [RegionKey: SharedMemoryConnection.Region] = [:]
    var end = ByteCount.zero
    for region in regions {
      let start = SystemMemory.roundUp(end, to: SystemMemory.pageBytes)
      // A quarter of the address space bounds each step, so that no sum overflows.
      guard region.length > .zero, region.length.rawValue <= Int.max / 4 - start.rawValue,
        result[region.key] == nil
      else {
        throw BatonError(
          .invalidArgument,
          "\(peer.engine) offers region \(region.key) with \(region.length.rawValue) bytes: "
            + "the key is taken or the length impossible")
      }
      result[region.key] = SharedMemoryConnection.Region(offset: start, length: region.length)
      end = start + region.length
    }
    return (result, end)
  }
}
