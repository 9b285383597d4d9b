import KVCore
import KVPool

/// Blocks of a peer's pool, in a sequence's order, and what they must be.
struct SourceBlocks: Sendable {
  let blocks: [BlockRange]
  /// Of each block in `blocks`.
  let stamps: [UInt64]
  /// XXH3 of each block in `blocks`, or empty where nobody verifies them.
  let checksums: [UInt64]
  private let layout: PoolLayout
  private let peer: EngineID

  /// Throws `invalidArgument` for blocks outside the pool, or another number of stamps or
  /// checksums.
  init(
    layout: PoolLayout, peer: EngineID, blocks: [BlockRange], stamps: [UInt64],
    checksums: [UInt64]
  ) throws(BatonError) {
    if let outside = blocks.first(where: { !layout.contains($0) }) {
      throw BatonError(
        .invalidArgument, "blocks \(outside) of \(peer): its pool has \(layout.blockCount)")
    }
    guard blocks.blockCount == stamps.count else {
      throw BatonError(
        .invalidArgument, "\(blocks.blockCount) blocks of \(peer) with \(stamps.count) stamps")
    }
    guard checksums.isEmpty || checksums.count == stamps.count else {
      throw BatonError(
        .invalidArgument,
        "\(stamps.count) blocks of \(peer) with \(checksums.count) checksums")
    }
    self.layout = layout
    self.peer = peer
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
    return "block \(block) of \(peer), number \(position) of its sequence's,"
  }

  // MARK: Planning

  /// How the blocks at `positions` come to `targets`, and what they must then be.
  ///
  /// Throws `invalidArgument` for targets that are not as many, or outside `destination`.
  func plan(
    _ positions: Range<Int>, to targets: [BlockRange], in destination: KVPool
  ) throws(BatonError) -> MigrationPlan {
    let local = MemoryRegion.destination(destination)
    let remote = layout.blocks
    let checks = BlockChecks(
      blockBytes: layout.geometry.blockBytes.rawValue,
      checksums: Array(checksums[positions.clamped(to: checksums.indices)]))
    return try MigrationPlan(
      batch: pieces(of: blocks.blocks(at: positions), to: targets, in: destination),
      local: [local.key: local], remote: [remote.key: remote.length],
      checks: checksums.isEmpty ? nil : checks)
  }

  /// The pieces that bring `sources` to `targets`: one for each run that both have in common.
  private func pieces(
    of sources: [BlockRange], to targets: [BlockRange], in destination: KVPool
  ) throws(BatonError) -> [MigrationItem] {
    guard sources.blockCount == targets.blockCount,
      targets.allSatisfy({ destination.layout.contains($0) })
    else {
      throw BatonError(
        .invalidArgument,
        "\(sources.blockCount) blocks of \(peer) do not go to blocks \(targets) of a pool of "
          + "\(destination.blockCount)")
    }
    let blockBytes = layout.geometry.blockBytes
    var items: [MigrationItem] = []
    var target = 0
    var used = 0
    for source in sources {
      var done = 0
      while done < source.count {
        let count = min(Int(source.count) - done, Int(targets[target].count) - used)
        if count > 0 {
          items.append(
            MigrationItem(
              region: PoolLayout.blocksKey,
              targetOffset: blockBytes * (Int(targets[target].first.rawValue) + used),
              sourceOffset: blockBytes * (Int(source.first.rawValue) + done),
              length: blockBytes * count))
        }
        done += count
        used += count
        if used == targets[target].count {
          target += 1
          used = 0
        }
      }
    }
    return items
  }
}
