import ControlProtocol
import KVCore
import KVPool
import Migration
import Platform
import Synchronization
import TestSupport
import Testing

@Suite("Migration between pools", .timeLimit(.minutes(1)))
struct PoolMigrationTests {
  @Test("Copied blocks are the peer's, in order, in as few reads as both sides' runs allow")
  func copies() async throws {
    let pair = try await PoolPair(sourceBlocks: 16, destinationBlocks: 24)
    _ = try pair.source.allocate(blocks: 16)
    _ = try pair.destination.allocate(blocks: 24)
    let sources = ranges((3, 4), (10, 2), (0, 2))
    let targets = ranges((20, 3), (1, 3), (8, 2))
    let stamps = pair.write(sources, seed: 100)
    let outcome = try pair.migration().copy(sources, stamps: stamps, to: targets)
    #expect(pair.holds(targets, seed: 100))
    // Runs that both sides share: 3, 1, 2 and 2 blocks.
    #expect(outcome == MigrationOutcome(bytes: smallGeometry.blockBytes * 8, reads: 4))
  }

  @Test("A copy of more than the caches hold has every byte, over a link and home")
  func copiesMuch() async throws {
    let large = KVGeometry(blockTokens: 1_024, groups: smallGeometry.groups)
    let pair = try await PoolPair(sourceBlocks: 24, destinationBlocks: 48, geometry: large)
    _ = try pair.source.allocate(blocks: 24)
    let sources = ranges((3, 17), (0, 3))
    let stamps = pair.write(sources, seed: 5)
    let migration = try pair.migration()
    let outcome = try migration.copy(sources, stamps: stamps, to: ranges((20, 19), (1, 1)))
    #expect(outcome.bytes >= .mebibytes(4))
    #expect(pair.holds(ranges((20, 19), (1, 1)), seed: 5))
    let borrowed = try migration.borrow(sources, stamps: stamps)
    _ = try borrowed.copyHome(0..<20, to: ranges((0, 20)), in: pair.destination)
    #expect(pair.holds(ranges((0, 20)), seed: 5))
  }

  @Test("Runs that follow each other on both sides are read as one")
  func joins() async throws {
    let pair = try await PoolPair(sourceBlocks: 8, destinationBlocks: 8)
    _ = try pair.source.allocate(blocks: 8)
    let sources = ranges((2, 1), (3, 2), (5, 1))
    let targets = ranges((0, 4))
    let stamps = pair.write(sources, seed: 7)
    let outcome = try pair.migration().copy(sources, stamps: stamps, to: targets)
    #expect(outcome.reads == 1)
    #expect(pair.holds(targets, seed: 7))
  }

  @Test("A block that has been reused is an error that names it, and nothing is copied")
  func staleBlock() async throws {
    let pair = try await PoolPair(sourceBlocks: 8, destinationBlocks: 8)
    let sources = try pair.source.allocate(blocks: 4)
    let stamps = pair.write(sources, seed: 1)
    let migration = try pair.migration()
    pair.source.free(ranges((2, 1)))
    #expect(try pair.source.allocate(blocks: 1) == ranges((2, 1)))
    let error = #expect(throws: BatonError.self) {
      try migration.copy(sources, stamps: stamps, to: ranges((0, 4)))
    }
    #expect(error?.code == .staleBlock)
    #expect(
      error?.message
        == "block 2 of prefill-0, number 2 of its sequence's, has been reused")
    #expect(pair.holds(ranges((0, 1)), seed: 1) == false)
    let borrowing = #expect(throws: BatonError.self) {
      _ = try migration.borrow(sources, stamps: stamps)
    }
    #expect(borrowing?.code == .staleBlock)
  }

  @Test(
    "A copy beside a writer, verified or not, has the bytes of the stamp or ends as stale",
    arguments: [false, true])
  func copiesBesideWriter(verifies: Bool) async throws {
    let large = KVGeometry(blockTokens: 256, groups: smallGeometry.groups)
    let pair = try await PoolPair(sourceBlocks: 2, destinationBlocks: 1, geometry: large)
    let source = pair.source
    let migration = try pair.migration()
    let published = Published()
    // Two blocks by turns: one is final while the other is written, so that a copy may begin with
    // good reason and be overtaken all the same.
    let writer = try PlatformThread.start(name: "writer") {
      var block = BlockIndex(0)
      while !published.isDone.load(ordering: .relaxed) {
        source.beginWrite(block)
        // The content is the stamp that it will be final under.
        fill(
          source.address(of: block), with: source.currentStamp(block) + 1,
          bytes: large.blockBytes.rawValue)
        let stamp = source.endWrite(block)
        published.value.store(stamp << 1 | UInt64(block.rawValue), ordering: .releasing)
        block = BlockIndex(1 - block.rawValue)
      }
    }
    let expected = PlainMemory(length: large.blockBytes.rawValue)
    /// One try to copy what was published last; nil if it was stale.
    func tryToCopy() -> Bool? {
      let value = published.value.load(ordering: .acquiring)
      let list = ranges((UInt32(value & 1), 1))
      fill(expected.address, with: value >> 1, bytes: expected.length)
      let checksums = verifies ? [expected.checksum] : []
      do throws(BatonError) {
        _ = try migration.copy(
          list, stamps: [value >> 1], checksums: checksums, to: ranges((0, 1)))
      } catch {
        #expect(error.code == .staleBlock)
        return nil
      }
      return pair.holds(ranges((0, 1)), seed: value >> 1)
    }
    while published.value.load(ordering: .acquiring) == 0 {}
    for _ in 0..<20_000 where tryToCopy() == false { Issue.record("a torn block was copied") }
    published.isDone.store(true, ordering: .relaxed)
    writer.join()
    #expect(tryToCopy() == true)
  }

  private final class Published: Sendable {
    /// A stamp, times two, plus the block that it is on.
    let value = Atomic<UInt64>(0)
    let isDone = Atomic<Bool>(false)
  }

  @Test("Borrowed blocks are read in place; a later check finds the one that was reused")
  func borrows() async throws {
    let pair = try await PoolPair(sourceBlocks: 8, destinationBlocks: 8)
    let sources = try pair.source.allocate(blocks: 3)
    let stamps = pair.write(sources, seed: 40)
    let borrowed = try pair.migration().borrow(sources, stamps: stamps)
    #expect(borrowed.addresses.count == 3)
    for (place, address) in borrowed.addresses.enumerated() {
      #expect(
        isFilled(
          address, with: 40 + UInt64(place), bytes: smallGeometry.blockBytes.rawValue))
    }
    #expect(borrowed.firstStale() == nil)
    pair.source.beginWrite(BlockIndex(1))
    #expect(borrowed.firstStale() == 1)
    let error = #expect(throws: BatonError.self) {
      try borrowed.copyHome(0..<3, to: ranges((0, 3)), in: pair.destination)
    }
    #expect(error == borrowed.staleBlock(at: 1))
    // The block before it is still good, and so is the one after it.
    _ = try borrowed.copyHome(2..<3, to: ranges((5, 1)), in: pair.destination)
    #expect(pair.holds(ranges((5, 1)), seed: 42))
  }

  @Test("Blocks stay readable, and can be copied, when link and peer are gone")
  func outlivesLinkAndPeer() async throws {
    var pair: PoolPair? = try await PoolPair(sourceBlocks: 8, destinationBlocks: 8)
    let destination = try #require(pair).destination
    let sources = try #require(pair).source.allocate(blocks: 4)
    let stamps = try #require(pair).write(sources, seed: 9)
    let migration = try #require(pair).migration()
    let borrowed = try migration.borrow(sources, stamps: stamps)
    if let pair {
      pair.decode.backend.disconnect(link: pair.link)
      pair.prefill.backend.disconnect(link: pair.link)
    }
    pair = nil
    #expect(borrowed.firstStale() == nil)
    let home = try destination.allocate(blocks: 4)
    let copy = try destination.allocate(blocks: 4)
    for outcome in [
      try borrowed.copyHome(0..<4, to: home, in: destination),
      try migration.copy(sources, stamps: stamps, to: copy),
    ] {
      #expect(outcome.bytes == smallGeometry.blockBytes * 4)
    }
    for targets in [home, copy] {
      for (place, block) in targets.flatMap(\.blocks).enumerated() {
        #expect(
          isFilled(
            destination.address(of: block), with: 9 + UInt64(place),
            bytes: smallGeometry.blockBytes.rawValue))
      }
    }
  }

  @Test("Blocks outside the peer's pool, and lists that do not fit each other, are refused")
  func refusesBadLists() async throws {
    let pair = try await PoolPair(sourceBlocks: 8, destinationBlocks: 8)
    let migration = try pair.migration()
    let sources = try pair.source.allocate(blocks: 8)
    let stamps = pair.write(sources, seed: 1)
    let bad: [([BlockRange], [UInt64], [BlockRange])] = [
      (ranges((7, 2)), Array(stamps[..<2]), ranges((0, 2))),
      (ranges((UInt32.max, UInt32.max)), stamps, ranges((0, 8))),
      (ranges((0, 3)), Array(stamps[..<2]), ranges((0, 3))),
      (ranges((0, 2)), Array(stamps[..<2]), ranges((0, 3))),
      (ranges((0, 2)), Array(stamps[..<2]), ranges((7, 2))),
    ]
    for (from, stamps, to) in bad {
      let error = #expect(throws: BatonError.self) {
        try migration.copy(from, stamps: stamps, to: to)
      }
      #expect(error?.code == .invalidArgument)
    }
  }

  @Test("Pools of another geometry, or regions that are no such pool, are refused by name")
  func refusesOtherPools() async throws {
    let pair = try await PoolPair(sourceBlocks: 8, destinationBlocks: 8)
    let wider = KVGeometry(blockTokens: 32, groups: smallGeometry.groups)
    for layout in [
      try PoolLayout(geometry: wider, blockCount: 8),
      try PoolLayout(geometry: smallGeometry, blockCount: 7),
    ] {
      let error = #expect(throws: BatonError.self) {
        _ = try PoolMigration(
          backend: pair.decode.backend, link: pair.link, peer: pair.prefill.engine,
          remote: layout, destination: pair.destination)
      }
      #expect(error?.code == .incompatible)
      #expect(error?.message.contains("prefill-0") == true)
    }
  }
}
