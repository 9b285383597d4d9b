import ControlProtocol
import KVCore
import KVPool
import Migration
import Synchronization
import TestSupport
import Testing

/// Two engines with a pool each on one machine with an RDMA device.
private struct RDMAPair {
  let prefill: Side
  let decode: Side
  let source: KVPool
  let destination: KVPool
  let link = LinkID.random()
  let ticket = TicketID.random()
  let told = Told()
  let migration: PoolMigration

  init(
    blocks: Int, geometry: KVGeometry = largeGeometry, lanes: Int = 2,
    transports: [TransportKind] = [.rdma]
  ) async throws {
    let loopback = MigrationOptions.DataListener(
      host: "127.0.0.1", port: 0, advertisedHost: "127.0.0.1")
    prefill = try Side(
      "prefill-0",
      options: MigrationOptions(transports: transports, dataListeners: [loopback], lanes: lanes))
    decode = try Side(
      "decode-0", options: MigrationOptions(transports: transports, lanes: lanes))
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
    let offered = try prefill.backend.endpointInfo(link: link)
    try await decode.backend.connect(link: link, remote: offered)
    migration = try PoolMigration(
      backend: decode.backend, link: link, peer: prefill.engine, remote: source.layout,
      destination: destination)
  }

  func grant(_ blocks: [BlockRange]) {
    let blockBytes = source.geometry.blockBytes.rawValue
    prefill.backend.grant(
      ticket,
      extents: blocks.map {
        RegionExtent(
          region: PoolLayout.blocksKey, offset: Int($0.first.rawValue) * blockBytes,
          length: Int($0.count) * blockBytes)
      }, link: link)
  }

  func write(_ blocks: [BlockRange]) -> (stamps: [UInt64], checksums: [UInt64]) {
    var stamps: [UInt64] = []
    var checksums: [UInt64] = []
    for block in blocks.flatMap(\.blocks) {
      fill(
        source.address(of: block), with: UInt64(block.rawValue) + 77,
        bytes: source.geometry.blockBytes.rawValue)
      checksums.append(source.checksum(of: block))
      stamps.append(source.endWrite(block))
    }
    return (stamps, checksums)
  }

  func holds(_ targets: [BlockRange], of sources: [BlockRange]) -> Bool {
    zip(targets.flatMap(\.blocks), sources.flatMap(\.blocks)).allSatisfy { target, source in
      isFilled(
        destination.address(of: target), with: UInt64(source.rawValue) + 77,
        bytes: destination.geometry.blockBytes.rawValue)
    }
  }
}

@Suite(
  "Migration over RDMA", .serialized, .timeLimit(.minutes(3)),
  .enabled(if: RDMALab.runs, "there is no RDMA device on this machine"))
struct RDMAMigrationTests {
  @Test(
    "Blocks that lie anywhere come whole, over one queue pair or several", arguments: [1, 3],
    [true, false])
  func copies(lanes: Int, isVerified: Bool) async throws {
    let pair = try await RDMAPair(blocks: 128, lanes: lanes)
    _ = try pair.source.allocate(blocks: 128)
    _ = try pair.destination.allocate(blocks: 128)
    let sources = ranges((100, 1), (98, 1), (96, 1), (3, 40), (60, 30))
    let targets = ranges((1, 1), (3, 1), (50, 41), (5, 30))
    let (stamps, checksums) = pair.write(sources)
    pair.grant(sources)
    #expect(pair.migration.transport == .rdma && !pair.migration.canBorrow)
    for _ in 0..<3 {
      let outcome = try pair.migration.copy(
        sources, stamps: stamps, checksums: isVerified ? checksums : [], to: targets,
        under: pair.ticket)
      #expect(outcome.bytes == largeGeometry.blockBytes * 73)
    }
    #expect(pair.holds(targets, of: sources))
    #expect(pair.told.all == [])
  }

  @Test("More reads than a queue pair has room for are posted as others complete")
  func manyReads() async throws {
    let pair = try await RDMAPair(blocks: 1_600, geometry: smallGeometry, lanes: 2)
    let all = try pair.source.allocate(blocks: 1_600).flatMap(\.blocks)
    let targets = try pair.destination.allocate(blocks: 1_600)
    let sources = (all.indices.filter { $0 % 2 == 0 } + all.indices.filter { $0 % 2 == 1 })
      .map { BlockRange(first: all[$0], count: 1) }
    let (stamps, checksums) = pair.write(sources)
    pair.grant(sources)
    _ = try pair.migration.copy(
      sources, stamps: stamps, checksums: checksums, to: targets, under: pair.ticket)
    #expect(pair.holds(targets, of: sources))
  }

  @Test("A wrong byte is a checksum mismatch that names the block, and the link goes on")
  func mismatch() async throws {
    let pair = try await RDMAPair(blocks: 32)
    let sources = try pair.source.allocate(blocks: 32)
    let targets = try pair.destination.allocate(blocks: 32)
    let (stamps, checksums) = pair.write(sources)
    pair.grant(sources)
    var wrong = checksums
    wrong[20] ^= 1
    let error = #expect(throws: BatonError.self) {
      try pair.migration.copy(
        sources, stamps: stamps, checksums: wrong, to: targets, under: pair.ticket)
    }
    #expect(error?.code == .checksumMismatch && error?.message.contains("number 20") == true)
    _ = try pair.migration.copy(
      sources, stamps: stamps, checksums: checksums, to: targets, under: pair.ticket)
    #expect(pair.holds(targets, of: sources))
  }

  @Test("Blocks of a ticket that was taken back are free when its reader says that it is done")
  func taken() async throws {
    let pair = try await RDMAPair(blocks: 8)
    let sources = try pair.source.allocate(blocks: 4)
    let targets = try pair.destination.allocate(blocks: 4)
    let (stamps, checksums) = pair.write(sources)
    pair.grant(sources)
    let isQuiet = Mutex(false)
    pair.prefill.backend.revoke(pair.ticket, readerIsDone: false) { isQuiet.withLock { $0 = true } }
    #expect(!isQuiet.withLock { $0 })
    pair.prefill.backend.readerIsDone(pair.ticket)
    #expect(isQuiet.withLock { $0 })
    // Nothing has happened to the link.
    _ = try pair.migration.copy(
      sources, stamps: stamps, checksums: checksums, to: targets, under: pair.ticket)
  }

  @Test("A reader that does not say so loses its queue pairs before its blocks are free")
  func silent() async throws {
    let pair = try await RDMAPair(blocks: 8)
    let sources = try pair.source.allocate(blocks: 4)
    let targets = try pair.destination.allocate(blocks: 4)
    let (stamps, _) = pair.write(sources)
    pair.grant(sources)
    let quiet = Signal()
    pair.prefill.backend.revoke(pair.ticket, readerIsDone: false) { quiet.set() }
    await quiet.wait()
    let error = #expect(throws: BatonError.self) {
      try pair.migration.copy(sources, stamps: stamps, to: targets, under: pair.ticket)
    }
    #expect(error?.isRetryable == true)
    let again = #expect(throws: BatonError.self) {
      try pair.migration.copy(sources, stamps: stamps, to: targets, under: pair.ticket)
    }
    #expect(again?.code == .unavailable)
  }

  @Test("What queue pairs that fail have not brought comes over data connections")
  func failover() async throws {
    let pair = try await RDMAPair(blocks: 64, transports: [.rdma, .tcp])
    let sources = try pair.source.allocate(blocks: 64)
    let targets = try pair.destination.allocate(blocks: 64)
    let (stamps, checksums) = pair.write(sources)
    pair.grant(sources)
    #expect(pair.migration.transport == .rdma)
    let other = TicketID.random()
    pair.prefill.backend.grant(other, extents: [], link: pair.link)
    let quiet = Signal()
    // Ends the queue pairs at the owner; the link and the first ticket go on.
    pair.prefill.backend.revoke(other, readerIsDone: false) { quiet.set() }
    await quiet.wait()
    _ = try pair.migration.copy(
      sources, stamps: stamps, checksums: checksums, to: targets, under: pair.ticket)
    #expect(pair.holds(targets, of: sources))
    #expect(pair.migration.transport == .tcp)
    #expect(pair.told.all.count == 1 && pair.told.all[0].hasPrefix("rdma true"))
  }
}
