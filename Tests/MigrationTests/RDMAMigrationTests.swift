import ControlProtocol
import KVCore
import KVPool
import Migration
import Synchronization
import TestSupport
import Testing

@Suite(
  "Migration over RDMA", .serialized, .timeLimit(.minutes(3)),
  .enabled(if: RDMALab.runs, "there is no RDMA device on this machine"))
struct RDMAMigrationTests {
  @Test(
    "Blocks that lie anywhere come whole, over one queue pair or several", arguments: [1, 3],
    [true, false])
  func copies(lanes: Int, isVerified: Bool) async throws {
    let pair = try await RemotePair(
      blocks: 128, geometry: largeGeometry, lanes: lanes, transports: [.rdma])
    let migration = try await pair.connect()
    _ = try pair.source.allocate(blocks: 128)
    _ = try pair.destination.allocate(blocks: 128)
    let sources = ranges((100, 1), (98, 1), (96, 1), (3, 40), (60, 30))
    let targets = ranges((1, 1), (3, 1), (50, 41), (5, 30))
    let (stamps, checksums) = pair.write(sources)
    pair.grant(sources)
    #expect(migration.transport == .rdma && !migration.canBorrow)
    for _ in 0..<3 {
      let outcome = try migration.copy(
        sources, stamps: stamps, checksums: isVerified ? checksums : [], to: targets,
        under: pair.ticket)
      #expect(outcome.bytes == largeGeometry.blockBytes * 73)
    }
    #expect(pair.holds(targets, of: sources))
    #expect(pair.told.all == [])
  }

  @Test("More reads than a queue pair has room for are posted as others complete")
  func manyReads() async throws {
    let pair = try await RemotePair(
      blocks: 1_600, geometry: smallGeometry, lanes: 2, transports: [.rdma])
    let migration = try await pair.connect()
    let all = try pair.source.allocate(blocks: 1_600).flatMap(\.blocks)
    let targets = try pair.destination.allocate(blocks: 1_600)
    let sources = (all.indices.filter { $0 % 2 == 0 } + all.indices.filter { $0 % 2 == 1 })
      .map { BlockRange(first: all[$0], count: 1) }
    let (stamps, checksums) = pair.write(sources)
    pair.grant(sources)
    _ = try migration.copy(
      sources, stamps: stamps, checksums: checksums, to: targets, under: pair.ticket)
    #expect(pair.holds(targets, of: sources))
  }

  @Test("A wrong byte is a checksum mismatch that names the block, and the link goes on")
  func mismatch() async throws {
    let pair = try await RemotePair(blocks: 32, geometry: largeGeometry, transports: [.rdma])
    let migration = try await pair.connect()
    let sources = try pair.source.allocate(blocks: 32)
    let targets = try pair.destination.allocate(blocks: 32)
    let (stamps, checksums) = pair.write(sources)
    pair.grant(sources)
    var wrong = checksums
    wrong[20] ^= 1
    let error = #expect(throws: BatonError.self) {
      try migration.copy(
        sources, stamps: stamps, checksums: wrong, to: targets, under: pair.ticket)
    }
    #expect(error?.code == .checksumMismatch && error?.message.contains("number 20") == true)
    _ = try migration.copy(
      sources, stamps: stamps, checksums: checksums, to: targets, under: pair.ticket)
    #expect(pair.holds(targets, of: sources))
  }

  @Test("Blocks of a ticket that was taken back are free when its reader says that it is done")
  func taken() async throws {
    let pair = try await RemotePair(blocks: 8, geometry: largeGeometry, transports: [.rdma])
    let migration = try await pair.connect()
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
    _ = try migration.copy(
      sources, stamps: stamps, checksums: checksums, to: targets, under: pair.ticket)
  }

  @Test("A reader that does not say so loses its queue pairs before its blocks are free")
  func silent() async throws {
    let pair = try await RemotePair(blocks: 8, geometry: largeGeometry, transports: [.rdma])
    let migration = try await pair.connect()
    let sources = try pair.source.allocate(blocks: 4)
    let targets = try pair.destination.allocate(blocks: 4)
    let (stamps, _) = pair.write(sources)
    pair.grant(sources)
    let quiet = Signal()
    pair.prefill.backend.revoke(pair.ticket, readerIsDone: false) { quiet.set() }
    await quiet.wait()
    let error = #expect(throws: BatonError.self) {
      try migration.copy(sources, stamps: stamps, to: targets, under: pair.ticket)
    }
    #expect(error?.isRetryable == true)
    let again = #expect(throws: BatonError.self) {
      try migration.copy(sources, stamps: stamps, to: targets, under: pair.ticket)
    }
    #expect(again?.code == .unavailable)
  }

  @Test("What queue pairs that fail have not brought comes over data connections")
  func failover() async throws {
    let pair = try await RemotePair(blocks: 64, geometry: largeGeometry, transports: [.rdma, .tcp])
    let migration = try await pair.connect()
    let sources = try pair.source.allocate(blocks: 64)
    let targets = try pair.destination.allocate(blocks: 64)
    let (stamps, checksums) = pair.write(sources)
    pair.grant(sources)
    #expect(migration.transport == .rdma)
    let other = TicketID.random()
    pair.prefill.backend.grant(other, extents: [], link: pair.link)
    let quiet = Signal()
    // Ends the queue pairs at the owner; the link and the first ticket go on.
    pair.prefill.backend.revoke(other, readerIsDone: false) { quiet.set() }
    await quiet.wait()
    _ = try migration.copy(
      sources, stamps: stamps, checksums: checksums, to: targets, under: pair.ticket)
    #expect(pair.holds(targets, of: sources))
    #expect(migration.transport == .tcp)
    #expect(pair.told.all.count == 1 && pair.told.all[0].hasPrefix("rdma true"))
  }
}
