import ControlProtocol
import KVCore
import KVPool
import Migration
import TestSupport
import Testing

/// 64 KiB a block: some of them are a request.
let largeGeometry = KVGeometry(
  blockTokens: 16,
  groups: [CacheGroup(layers: 4, keyValueHeads: 4, headDimension: 64, dataType: .bfloat16)])

/// Two engines with a pool each that have no memory in common.
struct RemotePair {
  let prefill: Side
  let decode: Side
  let source: KVPool
  let destination: KVPool
  let link = LinkID.random()
  let ticket = TicketID.random()
  /// What decode's transports have told.
  let told = Told()
  private let offered: EndpointInfo

  init(
    blocks: Int, geometry: KVGeometry = smallGeometry, lanes: Int = 2,
    timeoutMilliseconds: UInt32 = 10_000, ownerKeys: ClusterKeys? = nil,
    readerKeys: ClusterKeys? = nil, transports: [TransportKind] = [.tcp],
    registrationBytes: ByteCount = ByteCount(Int.max)
  ) async throws {
    let loopback = MigrationOptions.DataListener(
      host: "127.0.0.1", port: 0, advertisedHost: "127.0.0.1")
    prefill = try Side(
      "prefill-0",
      options: MigrationOptions(
        transports: transports, clusterKeys: ownerKeys, dataListeners: [loopback], lanes: lanes,
        registrationBytes: registrationBytes))
    decode = try Side(
      "decode-0",
      options: MigrationOptions(
        transports: transports, clusterKeys: readerKeys, lanes: lanes,
        registrationBytes: registrationBytes,
        progressTimeoutMilliseconds: timeoutMilliseconds))
    source = try KVPool(geometry: geometry, blockCount: blocks)
    destination = try KVPool(geometry: geometry, blockCount: blocks)
    try prefill.initialize(link, to: decode)
    try decode.backend.initialize(
      link: link, remote: prefill.engine, remoteIncarnation: prefill.incarnation,
      onTransportFailure: { [told] transport, error, wasInUse in
        told.add("\(transport) \(wasInUse) \(error)")
      })
    for region in MemoryRegion.shared(source) {
      try prefill.backend.registerMemoryRegion(region, link: link)
    }
    try decode.backend.registerMemoryRegion(.destination(destination), link: link)
    let wanted = try decode.backend.endpointInfo(link: link)
    try await prefill.backend.connect(link: link, remote: wanted)
    offered = try prefill.backend.endpointInfo(link: link)
  }

  /// Prefill's, for data connections.
  var endpoint: TCPEndpoint { offered.tcp ?? .nothing }

  var port: UInt16 {
    UInt16(endpoint.addresses.first?.split(separator: ":").last ?? "") ?? 0
  }

  /// Connects decode to prefill, over `relay` if there is one.
  func connect(over relay: Relay? = nil) async throws -> PoolMigration {
    var remote = offered
    if let relay { remote.tcp?.addresses = [relay.address] }
    return try await connect(remote)
  }

  /// Sets the link up anew, on both sides, and connects decode.
  func connectAgain() async throws -> PoolMigration {
    prefill.backend.release(link: link)
    decode.backend.release(link: link)
    let wanted = try decode.backend.endpointInfo(link: link)
    try await prefill.backend.connect(link: link, remote: wanted)
    return try await connect(prefill.backend.endpointInfo(link: link))
  }

  private func connect(_ remote: EndpointInfo) async throws -> PoolMigration {
    try await decode.backend.connect(link: link, remote: remote)
    return try PoolMigration(
      backend: decode.backend, link: link, peer: prefill.engine, remote: source.layout,
      destination: destination)
  }

  /// What data connections need.
  var onTicket: ReadGrant { ReadGrant(ticket: ticket) }

  /// Lets decode read these blocks.
  func grant(_ blocks: [BlockRange]) -> ReadGrant {
    let access = access(to: blocks, under: ticket)
    return ReadGrant(ticket: ticket, windows: access.windows)
  }

  func access(to blocks: [BlockRange], under ticket: TicketID) -> TicketAccess {
    let blockBytes = source.geometry.blockBytes.rawValue
    return prefill.backend.grant(
      ticket,
      extents: blocks.map {
        RegionExtent(
          region: PoolLayout.blocksKey, offset: Int($0.first.rawValue) * blockBytes,
          length: Int($0.count) * blockBytes)
      }, link: link)
  }

  private static func word(_ block: BlockIndex) -> UInt64 {
    (UInt64(block.rawValue) + 1) &* 0x9E37_79B9_7F4A_7C15
  }

  /// Writes blocks of prefill's as a prompt does, each with words of its own.
  func write(_ blocks: [BlockRange]) -> (stamps: [UInt64], checksums: [UInt64]) {
    var stamps: [UInt64] = []
    var checksums: [UInt64] = []
    for block in blocks.flatMap(\.blocks) {
      fill(
        source.address(of: block), with: Self.word(block),
        bytes: source.geometry.blockBytes.rawValue)
      checksums.append(source.checksum(of: block))
      stamps.append(source.endWrite(block))
    }
    return (stamps, checksums)
  }

  /// Whether `targets` hold what `write` wrote to `sources`.
  func holds(_ targets: [BlockRange], of sources: [BlockRange]) -> Bool {
    zip(targets.flatMap(\.blocks), sources.flatMap(\.blocks)).allSatisfy { target, source in
      isFilled(
        destination.address(of: target), with: Self.word(source),
        bytes: destination.geometry.blockBytes.rawValue)
    }
  }
}

/// Blocks of prefill's that decode copies over a link, all of them.
struct BlockMove {
  let pair: RemotePair
  var migration: PoolMigration
  let sources: [BlockRange]
  let targets: [BlockRange]
  let stamps: [UInt64]
  var checksums: [UInt64]
  var grant: ReadGrant

  /// - Parameter grant: another than the pair's ticket's.
  func copy(
    isVerified: Bool = true, under grant: ReadGrant? = nil,
    cancellation: MigrationCancellation? = nil
  ) throws {
    _ = try migration.copy(
      sources, stamps: stamps, checksums: isVerified ? checksums : [], to: targets,
      under: grant ?? self.grant, cancellation: cancellation)
  }

  /// Whether the targets hold what was written.
  var hasArrived: Bool { pair.holds(targets, of: sources) }
}

extension RemotePair {
  /// Connects, writes some blocks and lets decode read them.
  func move(blocks: Int) async throws -> BlockMove {
    let migration = try await connect()
    let sources = try source.allocate(blocks: blocks)
    let targets = try destination.allocate(blocks: blocks)
    let (stamps, checksums) = write(sources)
    return BlockMove(
      pair: self, migration: migration, sources: sources, targets: targets, stamps: stamps,
      checksums: checksums, grant: grant(sources))
  }
}
