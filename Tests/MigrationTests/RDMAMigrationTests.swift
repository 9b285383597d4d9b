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
    let grant = pair.grant(sources)
    #expect(migration.transport == .rdma && !migration.canBorrow)
    for _ in 0..<3 {
      let outcome = try migration.copy(
        sources, stamps: stamps, checksums: isVerified ? checksums : [], to: targets,
        under: grant)
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
    let grant = pair.grant(sources)
    _ = try migration.copy(
      sources, stamps: stamps, checksums: checksums, to: targets, under: grant)
    #expect(pair.holds(targets, of: sources))
  }

  @Test("A wrong byte is a checksum mismatch that names the block, and the link goes on")
  func mismatch() async throws {
    let pair = try await RemotePair(blocks: 32, geometry: largeGeometry, transports: [.rdma])
    let move = try await pair.move(blocks: 32)
    var wrong = move
    wrong.checksums[20] ^= 1
    let error = #expect(throws: BatonError.self) { try wrong.copy() }
    #expect(error?.code == .checksumMismatch && error?.message.contains("number 20") == true)
    try move.copy()
    #expect(move.hasArrived)
  }

  @Test("A copy that is cancelled costs the link nothing")
  func cancelled() async throws {
    let pair = try await RemotePair(
      blocks: 256, geometry: largeGeometry, transports: [.rdma, .tcp])
    let move = try await pair.move(blocks: 256)
    let before = MigrationCancellation()
    before.cancel()
    #expect(throws: BatonError(.cancelled, "the migration was cancelled")) {
      try move.copy(cancellation: before)
    }
    #expect(!move.hasArrived)
    let during = MigrationCancellation()
    let copying = Task.detached { try move.copy(cancellation: during) }
    during.cancel()
    // It may have been done by then.
    if case .failure(let error) = await copying.result {
      #expect((error as? BatonError)?.code == .cancelled)
    }
    try move.copy()
    #expect(move.hasArrived && move.migration.transport == .rdma)
    #expect(pair.told.all == [])
  }

  @Test("What is not granted is refused, and what is comes all the same")
  func outsideGrant() async throws {
    let pair = try await RemotePair(blocks: 16, geometry: largeGeometry, transports: [.rdma])
    let migration = try await pair.connect()
    _ = try pair.source.allocate(blocks: 16)
    _ = try pair.destination.allocate(blocks: 16)
    let (stamps, _) = pair.write(ranges((0, 16)))
    let grant = pair.grant(ranges((4, 2), (8, 2), (6, 1)))
    #expect(grant.windows.map(\.offset) == [4, 8].map { largeGeometry.blockBytes * $0 })
    for wrong in [ranges((3, 1)), ranges((6, 2)), ranges((9, 2)), ranges((15, 1))] {
      let error = #expect(throws: BatonError.self) {
        try migration.copy(
          wrong, stamps: Array(stamps.prefix(wrong.blockCount)),
          to: ranges((0, UInt32(wrong.blockCount))), under: grant)
      }
      #expect(error?.code == .invalidArgument)
    }
    // A refusal of this side's has cost the link its queue pairs nothing.
    let granted = ranges((4, 3), (8, 2))
    _ = try migration.copy(
      granted, stamps: Array(stamps.prefix(5)), to: ranges((2, 5)), under: grant)
    #expect(pair.holds(ranges((2, 5)), of: granted))
  }

  @Test("A ticket's keys open its memory as long as it is granted, and never again")
  func windows() async throws {
    let pair = try await RemotePair(blocks: 8, geometry: smallGeometry, transports: [.rdma])
    let migration = try await pair.connect()
    let sources = try pair.source.allocate(blocks: 4)
    let targets = try pair.destination.allocate(blocks: 4)
    let (stamps, checksums) = pair.write(sources)
    var keys: [[UInt32]] = []
    // More often than a window has keys.
    for _ in 0..<300 {
      let access = pair.access(to: sources, under: pair.ticket)
      #expect(access.protection == .windows && access.windows.count == 1)
      keys += access.windows.map(\.remoteKeys)
      #expect(pair.access(to: sources, under: pair.ticket) == access)
      _ = try migration.copy(
        sources, stamps: stamps, checksums: checksums, to: targets,
        under: ReadGrant(ticket: pair.ticket, windows: access.windows))
      let isQuiet = Mutex(false)
      pair.prefill.backend.revoke(pair.ticket, readerIsDone: true) {
        isQuiet.withLock { $0 = true }
      }
      #expect(isQuiet.withLock { $0 })
    }
    #expect(Set(keys.prefix(255)).count == 255)
    let stale = RDMAWindow(
      region: PoolLayout.blocksKey, offset: .zero, length: pair.source.layout.blocks.length,
      remoteKeys: try #require(keys.last))
    let error = #expect(throws: BatonError.self) {
      try migration.copy(
        sources, stamps: stamps, to: targets,
        under: ReadGrant(ticket: pair.ticket, windows: [stale]))
    }
    #expect(error?.code == .deviceError && error?.message.contains("remote access") == true)
  }

  @Test("Blocks of a ticket that was taken back are free when its reader says that it is done")
  func taken() async throws {
    let pair = try await RemotePair(blocks: 8, geometry: largeGeometry, transports: [.rdma])
    let move = try await pair.move(blocks: 4)
    let isQuiet = Mutex(false)
    pair.prefill.backend.revoke(pair.ticket, readerIsDone: false) { isQuiet.withLock { $0 = true } }
    #expect(!isQuiet.withLock { $0 })
    // What was under way may end.
    try move.copy()
    pair.prefill.backend.readerIsDone(pair.ticket)
    #expect(isQuiet.withLock { $0 })
    // Nothing has happened to the link.
    let again = pair.grant(move.sources)
    try move.copy(under: again)
  }

  @Test("A reader that does not say so finds its ticket's windows closed, and others' open")
  func silent() async throws {
    let pair = try await RemotePair(blocks: 8, geometry: largeGeometry, transports: [.rdma])
    let move = try await pair.move(blocks: 4)
    let other = TicketID.random()
    let access = pair.access(to: move.sources, under: other)
    let quiet = Signal()
    pair.prefill.backend.revoke(pair.ticket, readerIsDone: false) { quiet.set() }
    await quiet.wait()
    try move.copy(isVerified: false, under: ReadGrant(ticket: other, windows: access.windows))
    let error = #expect(throws: BatonError.self) {
      try move.copy(isVerified: false)
    }
    #expect(error?.code == .deviceError && error?.isRetryable == true)
    let again = #expect(throws: BatonError.self) {
      try move.copy(isVerified: false)
    }
    #expect(again?.code == .unavailable)
  }

  @Test("A lease that ends in mid-read: what was read before is right, and nothing is read after")
  func endsMidRead() async throws {
    let pair = try await RemotePair(
      blocks: 256, geometry: largeGeometry, lanes: 1, transports: [.rdma])
    let move = try await pair.move(blocks: 256)
    let copies = Mutex(0)
    let started = Signal()
    let reading = Task.detached {
      // Ends when the device refuses.
      while true {
        try move.copy(isVerified: false)
        precondition(move.hasArrived, "a copy has brought other bytes")
        copies.withLock { $0 += 1 }
        started.set()
      }
    }
    await started.wait()
    let quiet = Signal()
    pair.prefill.backend.revoke(pair.ticket, readerIsDone: false) { quiet.set() }
    await quiet.wait()
    // Somebody else's by now: a copy that brought these bytes would end the test.
    for block in move.sources.flatMap(\.blocks) {
      fill(
        pair.source.address(of: block), with: 0xDEAD_DEAD_DEAD_DEAD,
        bytes: largeGeometry.blockBytes.rawValue)
    }
    let error = await #expect(throws: BatonError.self) { try await reading.value }
    #expect(error?.code == .deviceError)
    #expect(copies.withLock { $0 } > 0)
  }

  @Test("A ticket in more pieces than there are windows is read with the pool's key")
  func wholePool() async throws {
    let pair = try await RemotePair(
      blocks: 256, geometry: smallGeometry, transports: [.rdma, .tcp])
    let migration = try await pair.connect()
    _ = try pair.source.allocate(blocks: 256)
    let sources = (0..<100).map { BlockRange(first: BlockIndex(UInt32($0 * 2)), count: 1) }
    let targets = try pair.destination.allocate(blocks: 100)
    let (stamps, checksums) = pair.write(sources)
    let access = pair.access(to: sources, under: pair.ticket)
    #expect(access.protection == .pool)
    let grant = ReadGrant(ticket: pair.ticket, windows: access.windows)
    _ = try migration.copy(
      sources, stamps: stamps, checksums: checksums, to: targets, under: grant)
    #expect(pair.holds(targets, of: sources) && migration.transport == .rdma)
    // Such a key is good until the queue pairs end, so a reader that does not say that it is done
    // loses them; and what it still wants comes over data connections.
    let quiet = Signal()
    pair.prefill.backend.revoke(pair.ticket, readerIsDone: false) { quiet.set() }
    await quiet.wait()
    let other = pair.grant(sources)
    #expect(other.windows == [])
    _ = try migration.copy(
      sources, stamps: stamps, checksums: checksums, to: targets, under: other)
    #expect(migration.transport == .tcp)
    #expect(pair.told.all.count == 1 && pair.told.all[0].hasPrefix("rdma true"))
  }

  @Test("What queue pairs that fail have not brought comes over data connections")
  func failover() async throws {
    let pair = try await RemotePair(
      blocks: 256, geometry: largeGeometry, transports: [.rdma, .tcp])
    let move = try await pair.move(blocks: 256)
    #expect(move.migration.transport == .rdma)
    // The queue pairs of an owner that ends them answer nothing any more.
    let wide = (0..<100).map { BlockRange(first: BlockIndex(UInt32($0 * 2)), count: 1) }
    let other = TicketID.random()
    #expect(pair.access(to: wide, under: other).protection == .pool)
    let quiet = Signal()
    pair.prefill.backend.revoke(other, readerIsDone: false) { quiet.set() }
    await quiet.wait()
    try move.copy()
    #expect(move.hasArrived)
    #expect(move.migration.transport == .tcp)
    #expect(pair.told.all.count == 1 && pair.told.all[0].hasPrefix("rdma true"))
  }

  @Test("An engine that has started again is reached by its new queue pairs")
  func restart() async throws {
    let first = try await RemotePair(blocks: 4, geometry: largeGeometry, transports: [.rdma])
    let sources = try first.source.allocate(blocks: 4)
    let (stamps, checksums) = first.write(sources)
    let migration = try await first.connect()
    let grant = first.grant(sources)
    let targets = try first.destination.allocate(blocks: 4)
    first.prefill.backend.disconnect(link: first.link)
    let error = #expect(throws: BatonError.self) {
      try migration.copy(sources, stamps: stamps, to: targets, under: grant)
    }
    #expect(error?.code == .deviceError)
    let second = try await RemotePair(blocks: 4, geometry: largeGeometry, transports: [.rdma])
    let newSources = try second.source.allocate(blocks: 4)
    let newTargets = try second.destination.allocate(blocks: 4)
    _ = second.write(newSources)
    _ = try await second.connect().copy(
      newSources, stamps: stamps, checksums: checksums, to: newTargets,
      under: second.grant(newSources))
    #expect(second.holds(newTargets, of: newSources))
  }
}
