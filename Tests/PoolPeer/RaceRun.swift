import Glibc
import KVCore
import KVPool
import Migration
import TestSupport

/// Many reads of a pool whose owner reuses its blocks meanwhile, each checked word by word.
struct RaceRun {
  private enum Result {
    case good
    /// Found before anything was read.
    case stale
    /// Found after it had been read.
    case overtaken
    /// Reported good, with other bytes than its stamp stands for.
    case torn
  }

  private let isCopying: Bool
  private let reads: Int
  private let batch: Int
  private var generator: SplitMix64

  /// - Parameters:
  ///   - mode: `copy` or `borrow`.
  ///   - reads: how many, of 1 to `batch` blocks each.
  init(mode: String, reads: Int, batch: Int, seed: UInt64) throws(BatonError) {
    guard ["copy", "borrow"].contains(mode), reads > 0, batch > 0 else {
      throw BatonError(.invalidArgument, "a race of \(reads) reads of \(batch) blocks by \(mode)")
    }
    isCopying = mode == "copy"
    self.reads = reads
    self.batch = batch
    generator = SplitMix64(seed: seed)
  }

  /// - Parameter lines: where the owner's stamps lie in this process. What they say at a moment is
  ///   what the owner would have told a reader at that moment.
  consuming func run(
    _ migration: PoolMigration, layout: PoolLayout, into destination: KVPool, lines: UInt
  ) throws {
    let targets = try destination.allocate(blocks: batch)
    var counts: [Result: Int] = [:]
    for done in 1...reads {
      let (blocks, stamps) = choose(in: layout.blockCount, lines: lines)
      let result =
        isCopying
        ? try copy(blocks, stamps, migration, to: targets, in: destination)
        : try borrow(blocks, stamps, migration, blockBytes: layout.geometry.blockBytes.rawValue)
      counts[result, default: 0] += 1
      if done.isMultiple(of: 1_000_000) { report("so far", counts) }
    }
    report("raced", counts)
  }

  private func report(_ word: String, _ counts: [Result: Int]) {
    Dialogue.say(
      "\(word) good \(counts[.good, default: 0]) stale \(counts[.stale, default: 0]) overtaken "
        + "\(counts[.overtaken, default: 0]) torn \(counts[.torn, default: 0])")
  }

  /// Neighbouring blocks that are final just now.
  private mutating func choose(
    in blockCount: Int, lines: UInt
  ) -> (blocks: [BlockRange], stamps: [UInt64]) {
    while true {
      let count = Int.random(in: 1...batch, using: &generator)
      let first = Int.random(in: 0...blockCount - count, using: &generator)
      let stamps = (first..<first + count).map { block in
        word(at: lines + UInt(block * PoolLayout.lineBytes.rawValue))
      }
      if stamps.allSatisfy({ $0 != 0 && $0.isMultiple(of: 2) }) {
        return ([BlockRange(first: BlockIndex(UInt32(first)), count: UInt32(count))], stamps)
      }
    }
  }

  private func word(at address: UInt) -> UInt64 {
    unsafe UnsafePointer<UInt64>(bitPattern: address).map { unsafe $0.pointee } ?? 0
  }

  private func copy(
    _ blocks: [BlockRange], _ stamps: [UInt64], _ migration: PoolMigration,
    to targets: [BlockRange], in destination: KVPool
  ) throws -> Result {
    let targets = targets.blocks(at: 0..<stamps.count)
    do throws(BatonError) {
      _ = try migration.copy(blocks, stamps: stamps, to: targets)
    } catch {
      guard error.code == .staleBlock else { throw error }
      return .stale
    }
    let addresses = targets.flatMap(\.blocks).map { destination.address(of: $0) }
    let blockBytes = destination.geometry.blockBytes.rawValue
    return Self.areFilled(addresses, with: stamps, bytes: blockBytes) ? .good : .torn
  }

  private func borrow(
    _ blocks: [BlockRange], _ stamps: [UInt64], _ migration: PoolMigration, blockBytes: Int
  ) throws -> Result {
    let borrowed: BorrowedBlocks
    do throws(BatonError) {
      borrowed = try migration.borrow(blocks, stamps: stamps)
    } catch {
      guard error.code == .staleBlock else { throw error }
      return .stale
    }
    let isWhole = Self.areFilled(borrowed.addresses, with: stamps, bytes: blockBytes)
    if borrowed.firstStale() != nil { return .overtaken }
    return isWhole ? .good : .torn
  }

  private static func areFilled(_ addresses: [UInt], with stamps: [UInt64], bytes: Int) -> Bool {
    zip(addresses, stamps).allSatisfy { isFilled($0, with: $1, bytes: bytes) }
  }
}
