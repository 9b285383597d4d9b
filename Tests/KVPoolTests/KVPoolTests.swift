import KVCore
import KVPool
import Platform
import TestSupport
import Testing

@Suite("KV pool", .timeLimit(.minutes(1)))
struct KVPoolTests {
  @Test("Once the pool exists nobody can map it writable, change its length or its seals")
  func poolIsSealed() throws {
    let pool = try makePool(blocks: 3)
    #expect(try pool.file.seals().isSuperset(of: .readOnlyForPeers))
    #expect(throws: BatonError.self) {
      _ = try SharedMapping(of: pool.file, access: .readWrite).length
    }
    #expect(throws: BatonError.self) { try pool.file.add(.grow) }
  }

  @Test("Blocks lie one after the other, and a peer reads what the owner wrote")
  func addresses() throws {
    let pool = try makePool(blocks: 5)
    let peer = try openAsPeer(pool)
    let blockBytes = UInt(smallGeometry.blockBytes.rawValue)
    for index in 0..<5 {
      let block = BlockIndex(UInt32(index))
      #expect(pool.address(of: block) == pool.baseAddress + UInt(index) * blockBytes)
      fill(pool.address(of: block), with: UInt64(index) + 1, bytes: Int(blockBytes))
      #expect(isFilled(peer.address(of: block), with: UInt64(index) + 1, bytes: Int(blockBytes)))
    }
  }

  @Test("The lines start at the first page boundary after the blocks, 64 bytes for each block")
  func layout() throws {
    let odd = KVGeometry(
      blockTokens: 3,
      groups: [CacheGroup(layers: 1, keyValueHeads: 1, headDimension: 5, dataType: .bfloat16)])
    let layout = try PoolLayout(geometry: odd, blockCount: 100)
    #expect(layout.blocks.length == ByteCount(6_000))
    #expect(layout.lines.offset == SystemMemory.roundUp(ByteCount(6_000), to: .kibibytes(4)))
    #expect(layout.lines.length == ByteCount(6_400))
    let pool = try makePool(blocks: 100, geometry: odd)
    #expect(pool.file.length >= layout.length)
  }

  @Test("A pool without blocks, with too many or with impossible ones is refused")
  func impossibleLayouts() {
    let vast = KVGeometry(
      blockTokens: 1 << 20,
      groups: [
        CacheGroup(layers: 1 << 12, keyValueHeads: 1, headDimension: 1 << 8, dataType: .float32)
      ])
    let empty = KVGeometry(blockTokens: 16, groups: [])
    for (geometry, blocks) in [
      (smallGeometry, 0), (smallGeometry, -1), (smallGeometry, Limits.maximumPoolBlocks + 1),
      (vast, Limits.maximumPoolBlocks), (empty, 1),
    ] {
      let error = #expect(throws: BatonError.self) {
        try PoolLayout(geometry: geometry, blockCount: blocks)
      }
      #expect(error?.code == .invalidArgument)
    }
  }

  @Test("Too little room takes nothing and says how much there is")
  func exhaustion() throws {
    let pool = try makePool(blocks: 8)
    let first = try pool.allocate(blocks: 5)
    #expect(first == ranges((0, 5)))
    let error = #expect(throws: BatonError.self) { try pool.allocate(blocks: 4) }
    #expect(error?.code == .resourceExhausted)
    #expect(error?.message == "4 KV blocks are wanted, 3 of the pool's 8 are free")
    #expect(pool.statistics.free == 3)
    #expect(pool.statistics.used == 5)
    pool.free(first)
    #expect(
      pool.statistics == PoolStatistics(total: 8, free: 8, freeRuns: 1, largestFreeRun: 8))
  }

  @Test("Freeing a block twice stops the process")
  func doubleFree() async {
    await #expect(processExitsWith: .failure) {
      let pool = try makePool(blocks: 8)
      let taken = try pool.allocate(blocks: 4)
      pool.free([BlockRange(first: taken[0].first, count: 1)])
      pool.free(taken)
    }
  }

  @Test("Stamps are odd while a block is written, even when it is final, and never come twice")
  func stamps() throws {
    let pool = try makePool(blocks: 4)
    var seen: Set<UInt64> = []
    for _ in 0..<50 {
      let taken = try pool.allocate(blocks: 4)
      for block in taken.flatMap(\.blocks) {
        let open = pool.currentStamp(block)
        #expect(open & 1 == 1)
        #expect(seen.insert(open).inserted)
        let final = pool.endWrite(block)
        #expect(final & 1 == 0)
        #expect(pool.currentStamp(block) == final)
        #expect(seen.insert(final).inserted)
      }
      pool.free(taken)
    }
  }

  @Test("A block whose write is over cannot be ended again")
  func endWithoutBegin() async {
    await #expect(processExitsWith: .failure) {
      let pool = try makePool(blocks: 1)
      _ = try pool.allocate(blocks: 1)
      _ = pool.endWrite(BlockIndex(0))
      _ = pool.endWrite(BlockIndex(0))
    }
  }

  @Test("Threads that allocate and free at the same time never hold the same block")
  func concurrentAllocation() async throws {
    let pool = try makePool(blocks: 64)
    await withTaskGroup(of: Void.self) { group in
      for seed in 0..<4 as Range<UInt64> {
        group.addTask {
          var generator = SplitMix64(seed: seed)
          for _ in 0..<2_000 {
            let wanted = Int.random(in: 1...16, using: &generator)
            guard let taken = try? pool.allocate(blocks: wanted) else { continue }
            let stamps = taken.flatMap(\.blocks).map { ($0, pool.currentStamp($0)) }
            // Another owner of the block would have changed its stamp.
            let unchanged = stamps.allSatisfy { pool.currentStamp($0.0) == $0.1 }
            if !unchanged { Issue.record("a block had two owners (seed \(seed))") }
            pool.free(taken)
          }
        }
      }
    }
    #expect(pool.statistics.free == 64)
    #expect(pool.statistics.freeRuns == 1)
  }
}
