import KVCore
import KVPool
import TestSupport
import Testing

@Suite("Extents", .timeLimit(.minutes(1)))
struct ExtentAllocatorTests {
  @Test("The smallest run that holds all blocks is taken")
  func bestFit() throws {
    let pool = try makePool(blocks: 20)
    _ = try pool.allocate(blocks: 20)
    pool.free(ranges((0, 8), (10, 3), (15, 5)))
    #expect(try pool.allocate(blocks: 3) == ranges((10, 3)))
    #expect(try pool.allocate(blocks: 4) == ranges((15, 4)))
    #expect(try pool.allocate(blocks: 1) == ranges((19, 1)))
    #expect(try pool.allocate(blocks: 8) == ranges((0, 8)))
  }

  @Test("Blocks that no single run holds come in the fewest runs, the last from the best fit")
  func fewestRuns() throws {
    let pool = try makePool(blocks: 32)
    _ = try pool.allocate(blocks: 32)
    pool.free(ranges((0, 2), (4, 6), (12, 3), (18, 8)))
    #expect(try pool.allocate(blocks: 11) == ranges((12, 3), (18, 8)))
    #expect(try pool.allocate(blocks: 8) == ranges((0, 2), (4, 6)))
    #expect(pool.statistics.free == 0)
  }

  @Test("Runs that are freed next to each other become one")
  func merging() throws {
    let pool = try makePool(blocks: 9)
    _ = try pool.allocate(blocks: 9)
    pool.free(ranges((0, 3)))
    pool.free(ranges((6, 3)))
    #expect(pool.statistics.freeRuns == 2)
    pool.free(ranges((3, 3)))
    #expect(pool.statistics.freeRuns == 1)
    #expect(try pool.allocate(blocks: 9) == ranges((0, 9)))
    #expect(try pool.allocate(blocks: 0).isEmpty)
  }

  @Test(
    "Whatever is taken and freed, the pool agrees with a plain set of free blocks",
    arguments: 0..<8 as Range<UInt64>)
  func agreesWithModel(seed: UInt64) throws {
    var generator = SplitMix64(seed: seed)
    let capacity = 200
    let pool = try makePool(blocks: capacity)
    var free = Set(0..<capacity)
    var held: [[BlockRange]] = []
    for _ in 0..<400 {
      if held.isEmpty || Bool.random(using: &generator) {
        let wanted = Int.random(in: 1...40, using: &generator)
        let runs = Self.runLengths(of: free)
        guard let taken = try? pool.allocate(blocks: wanted) else {
          #expect(free.count < wanted)
          continue
        }
        let blocks = taken.flatMap(\.blocks).map { Int($0.rawValue) }
        #expect(blocks.count == wanted)
        #expect(Set(blocks).count == wanted)
        #expect(free.isSuperset(of: blocks))
        #expect(taken.count == Self.fewestRuns(for: wanted, from: runs))
        free.subtract(blocks)
        held.append(taken)
      } else {
        let chosen = held.remove(at: Int.random(in: 0..<held.count, using: &generator))
        // Parts come back in any order and size.
        for block in chosen.flatMap(\.blocks).shuffled(using: &generator) {
          pool.free([BlockRange(first: block, count: 1)])
          free.insert(Int(block.rawValue))
        }
      }
      let runs = Self.runLengths(of: free)
      #expect(
        pool.statistics
          == PoolStatistics(
            total: capacity, free: free.count, freeRuns: runs.count,
            largestFreeRun: runs.max() ?? 0))
    }
  }

  @Test("Positions of a block list are found across its ranges")
  func positions() {
    let list = ranges((10, 3), (50, 0), (20, 2))
    #expect(list.blockCount == 5)
    #expect(list.blocks(at: 0..<5) == ranges((10, 3), (20, 2)))
    #expect(list.blocks(at: 2..<4) == ranges((12, 1), (20, 1)))
    #expect(list.blocks(at: 4..<9) == ranges((21, 1)))
    #expect(list.blocks(at: 5..<6).isEmpty)
    #expect(list.block(at: 3) == BlockIndex(20))
    #expect(list.block(at: 5) == nil)
  }

  private static func runLengths(of free: Set<Int>) -> [Int] {
    var runs: [Int] = []
    var previous = -2
    for block in free.sorted() {
      if block == previous + 1 { runs[runs.count - 1] += 1 } else { runs.append(1) }
      previous = block
    }
    return runs
  }

  private static func fewestRuns(for wanted: Int, from runs: [Int]) -> Int {
    var remaining = wanted
    var count = 0
    for run in runs.sorted(by: >) where remaining > 0 {
      remaining -= run
      count += 1
    }
    return count
  }
}
