import KVCore
import KVPool
import Migration
import TestSupport
import Testing

@Suite("Migration with checksums", .timeLimit(.minutes(1)))
struct VerifiedMigrationTests {
  /// Blocks so large that sixteen of them go past the caches.
  private static let largeGeometry = KVGeometry(
    blockTokens: 1_024, groups: smallGeometry.groups)

  @Test(
    "Blocks whose checksums are right are copied, over a link and home",
    arguments: [smallGeometry, largeGeometry])
  func copies(geometry: KVGeometry) async throws {
    let pair = try await PoolPair(sourceBlocks: 24, destinationBlocks: 48, geometry: geometry)
    _ = try pair.source.allocate(blocks: 24)
    // Joined on neither side, on one, and on both.
    let sources = ranges((3, 17), (0, 3))
    let targets = ranges((20, 5), (30, 14), (1, 1))
    let stamps = pair.write(sources, seed: 5)
    let checksums = pair.checksums(sources)
    let migration = try pair.migration()
    let outcome = try migration.copy(sources, stamps: stamps, checksums: checksums, to: targets)
    #expect(outcome == MigrationOutcome(bytes: geometry.blockBytes * 20, reads: 4))
    #expect(pair.holds(targets, seed: 5))
    let borrowed = try migration.borrow(sources, stamps: stamps, checksums: checksums)
    _ = try borrowed.copyHome(2..<20, to: ranges((0, 18)), in: pair.destination)
    #expect(pair.holds(ranges((0, 18)), seed: 7))
  }

  @Test(
    "One changed bit is found in any block, named with both checksums, and not found unverified",
    arguments: [smallGeometry, largeGeometry])
  func findsBit(geometry: KVGeometry) async throws {
    let pair = try await PoolPair(sourceBlocks: 24, destinationBlocks: 24, geometry: geometry)
    _ = try pair.source.allocate(blocks: 24)
    let sources = ranges((4, 18))
    let targets = ranges((0, 18))
    let stamps = pair.write(sources, seed: 1)
    let checksums = pair.checksums(sources)
    let migration = try pair.migration()
    let borrowed = try migration.borrow(sources, stamps: stamps, checksums: checksums)
    let last = geometry.blockBytes.rawValue - 1
    for (position, byte) in [(0, 0), (9, 2_000), (16, last - 64), (17, last)] {
      let block = BlockIndex(UInt32(4 + position))
      pair.flipBit(of: block, byte: byte)
      let found = pair.checksums(ranges((block.rawValue, 1)))[0]
      let message =
        "block \(block) of prefill-0, number \(position) of its sequence's, has checksum "
        + "\(Hexadecimal.string(found)) where it was copied; "
        + "\(Hexadecimal.string(checksums[position])) was told when it was written"
      let errors = [
        #expect(throws: BatonError.self) {
          try migration.copy(sources, stamps: stamps, checksums: checksums, to: targets)
        },
        #expect(throws: BatonError.self) {
          try borrowed.copyHome(
            position..<18, to: ranges((0, UInt32(18 - position))), in: pair.destination)
        },
      ]
      for error in errors {
        #expect(error?.code == .checksumMismatch)
        #expect(error?.message == message)
        #expect(error?.isRetryable == true)
      }
      #expect(throws: Never.self) { try migration.copy(sources, stamps: stamps, to: targets) }
      // Blocks before it come home all the same.
      _ = try borrowed.copyHome(
        0..<position, to: ranges((0, UInt32(position))), in: pair.destination)
      pair.flipBit(of: block, byte: byte)
    }
    #expect(throws: Never.self) {
      try migration.copy(sources, stamps: stamps, checksums: checksums, to: targets)
    }
  }

  @Test("A block that was reused is stale, whatever its checksum is now")
  func staleFirst() async throws {
    let pair = try await PoolPair(sourceBlocks: 4, destinationBlocks: 4)
    let sources = try pair.source.allocate(blocks: 4)
    let stamps = pair.write(sources, seed: 1)
    let checksums = pair.checksums(sources)
    let migration = try pair.migration()
    let borrowed = try migration.borrow(sources, stamps: stamps, checksums: checksums)
    pair.source.beginWrite(BlockIndex(2))
    pair.flipBit(of: BlockIndex(2), byte: 8)
    let errors = [
      #expect(throws: BatonError.self) {
        try borrowed.copyHome(0..<4, to: ranges((0, 4)), in: pair.destination)
      },
      #expect(throws: BatonError.self) {
        try migration.copy(sources, stamps: stamps, checksums: checksums, to: ranges((0, 4)))
      },
    ]
    for error in errors { #expect(error == borrowed.staleBlock(at: 2)) }
  }

  @Test("Another number of checksums than of blocks is refused")
  func refusesBadLists() async throws {
    let pair = try await PoolPair(sourceBlocks: 4, destinationBlocks: 4)
    let sources = try pair.source.allocate(blocks: 4)
    let stamps = pair.write(sources, seed: 1)
    let checksums = pair.checksums(sources)
    let migration = try pair.migration()
    for wrong in [Array(checksums[..<3]), checksums + [0]] {
      let error = #expect(throws: BatonError.self) {
        try migration.copy(sources, stamps: stamps, checksums: wrong, to: ranges((0, 4)))
      }
      #expect(error?.code == .invalidArgument)
    }
  }
}
