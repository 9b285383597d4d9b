import KVCore
import KVPool

/// Blocks of a peer's pool, in a sequence's order, and what they must be.
struct SourceBlocks: Sendable {
  /// What is known of the peer's pool: little, because it is copied for each of its uses.
  struct Pool: Sendable {
    let peer: EngineID
    let blockCount: Int
    let blockBytes: Int
    /// Of all blocks.
    let length: ByteCount

    init(_ layout: PoolLayout, of peer: EngineID) {
      self.peer = peer
      blockCount = layout.blockCount
      blockBytes = layout.blockBytes
      length = layout.blocks.length
    }
  }

  let blocks: [BlockRange]
  /// Of each block in `blocks`.
  let stamps: [UInt64]
  /// XXH3 of each block in `blocks`, or empty where nobody verifies them.
  let checksums: [UInt64]
  private let pool: Pool

  /// Throws `invalidArgument` for blocks outside the pool, or another number of stamps or
  /// checksums.
  init(
    of pool: Pool, blocks: [BlockRange], stamps: [UInt64], checksums: [UInt64]
  ) throws(BatonError) {
    if let outside = blocks.first(where: { $0.end > pool.blockCount }) {
      throw BatonError(
        .invalidArgument, "blocks \(outside) of \(pool.peer): its pool has \(pool.blockCount)")
    }
    guard blocks.blockCount == stamps.count else {
      throw BatonError(
        .invalidArgument, "\(blocks.blockCount) blocks of \(pool.peer) with \(stamps.count) stamps")
    }
    guard checksums.isEmpty || checksums.count == stamps.count else {
      throw BatonError(
        .invalidArgument,
        "\(stamps.count) blocks of \(pool.peer) with \(checksums.count) checksums")
    }
    self.pool = pool
    self.blocks = blocks
    self.stamps = stamps
    self.checksums = checksums
  }

  // MARK: Verifying

  /// Throws `staleBlock` for the first block that is not the sequence's any more.
  func verifyStamps(in pool: PeerPool) throws(BatonError) {
    if let position = pool.firstStale(in: blocks, stamps: stamps) {
      throw staleBlock(at: position)
    }
  }

  func staleBlock(at position: Int) -> BatonError {
    BatonError(.staleBlock, "\(name(ofBlockAt: position)) has been reused")
  }

  /// - Parameter first: the place in `blocks` of the plan's first block.
  func checksumMismatch(_ mismatch: BlockMismatch, first: Int = 0) -> BatonError {
    let position = first + mismatch.position
    return BatonError(
      .checksumMismatch,
      "\(name(ofBlockAt: position)) has checksum \(Hexadecimal.string(mismatch.found)) where it "
        + "was copied; \(Hexadecimal.string(checksums[position])) was told when it was written")
  }

  private func name(ofBlockAt position: Int) -> String {
    let block = blocks.block(at: position).map(\.description) ?? "?"
    return "block \(block) of \(pool.peer), number \(position) of its sequence's,"
  }

  // MARK: Planning

  /// How the blocks at `positions` come to `targets`, and what they must then be: one piece for
  /// each run that both have in common.
  ///
  /// Throws `invalidArgument` for targets that are not as many, or outside `destination`.
  func plan(
    _ positions: Range<Int>, to targets: [BlockRange], in destination: KVPool
  ) throws(BatonError) -> MigrationPlan {
    let isWhole = positions == stamps.indices
    let sources = isWhole ? blocks : blocks.blocks(at: positions)
    let targetCount = destination.blockCount
    guard sources.blockCount == targets.blockCount,
      targets.allSatisfy({ $0.end <= targetCount })
    else {
      throw BatonError(
        .invalidArgument,
        "\(sources.blockCount) blocks of \(pool.peer) do not go to blocks \(targets) of a pool of "
          + "\(targetCount)")
    }
    var checks: BlockChecks?
    if !checksums.isEmpty {
      checks = BlockChecks(
        blockBytes: pool.blockBytes,
        checksums: isWhole ? checksums : Array(checksums[positions]))
    }
    let sides = RegionSides(
      targetAddress: destination.baseAddress, targetLength: destination.layout.blocks.length,
      sourceLength: pool.length)
    let blockBytes = ByteCount(pool.blockBytes)
    var plan = MigrationPlan(checks: checks, capacity: max(sources.count, targets.count))
    var target = 0
    var used = 0
    for source in sources {
      var done = 0
      while done < source.count {
        let count = min(Int(source.count) - done, Int(targets[target].count) - used)
        if count > 0 {
          try plan.append(
            MigrationItem(
              region: PoolLayout.blocksKey,
              targetOffset: blockBytes * (Int(targets[target].first.rawValue) + used),
              sourceOffset: blockBytes * (Int(source.first.rawValue) + done),
              length: blockBytes * count),
            of: sides)
        }
        done += count
        used += count
        if used == targets[target].count { (target, used) = (target + 1, 0) }
      }
    }
    return plan
  }
}
