package import KVCore
package import KVPool

/// Blocks of a peer's pool, used in place.
///
/// What was computed from them counts only if `firstStale` finds nothing **after** the last read.
/// They stay readable while this value exists, though the peer, the link and the lease may end;
/// only the stamps tell whether they are still the sequence's.
package struct BorrowedBlocks: Sendable {
  /// In the sequence's order.
  package let blocks: [BlockRange]
  /// Of each block in `blocks`.
  package let stamps: [UInt64]
  /// XXH3 of each block in `blocks`, or empty where nobody verifies them.
  private let checksums: [UInt64]
  private let pool: PeerPool
  private let peer: EngineID

  /// Throws `invalidArgument` for blocks outside the pool, or another number of stamps or
  /// checksums.
  init(
    pool: PeerPool, peer: EngineID, blocks: [BlockRange], stamps: [UInt64], checksums: [UInt64]
  ) throws(BatonError) {
    if let outside = pool.firstOutside(of: blocks) {
      throw BatonError(
        .invalidArgument,
        "blocks \(outside) of \(peer): its pool has \(pool.layout.blockCount)")
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
    self.blocks = blocks
    self.stamps = stamps
    self.checksums = checksums
    self.pool = pool
    self.peer = peer
  }

  /// Where each block lies in this process; to be read only.
  package var addresses: [UInt] {
    let blockBytes = UInt(pool.layout.geometry.blockBytes.rawValue)
    let start = pool.address(of: BlockIndex(0))
    // There are as many stamps as blocks. Appending would look at the capacity for each.
    return unsafe Array(unsafeUninitializedCapacity: stamps.count) { addresses, count in
      for range in blocks {
        let first = start + UInt(range.first.rawValue) * blockBytes
        for place in 0..<Int(range.count) {
          unsafe addresses[count] = first + UInt(place) * blockBytes
          count += 1
        }
      }
    }
  }

  /// Lends each block as words, in the sequence's order; as long as `body` returns true.
  package func forEachBlock(_ body: (Span<UInt64>) -> Bool) {
    for block in blocks.lazy.flatMap(\.blocks) where !pool.withWords(of: block, body) { return }
  }

  /// The place in `stamps` of the first block that is not the sequence's any more, or nil. One
  /// pass over one cache line per block; no allocation.
  package func firstStale() -> Int? { pool.firstStale(in: blocks, stamps: stamps) }

  /// The error for what `firstStale` found.
  package func staleBlock(at position: Int) -> BatonError {
    BatonError(.staleBlock, "\(name(ofBlockAt: position)) has been reused")
  }

  /// Copies the blocks at `positions` into `destination`, without the link or the peer's help, and
  /// verifies their checksums where they are known. Blocks its thread.
  ///
  /// - Parameter targets: allocated from `destination`; as many blocks as `positions`.
  ///
  /// Throws as `PoolMigration.copy` does.
  package func copyHome(
    _ positions: Range<Int>, to targets: [BlockRange], in destination: KVPool
  ) throws(BatonError) -> MigrationOutcome {
    let positions = positions.clamped(to: stamps.indices)
    let plan = try plan(positions, to: targets, in: destination)
    let start = pool.address(of: BlockIndex(0))
    let mismatch = try MemoryCopy.copy(plan) { _ in start }
    try verify(positions, mismatch: mismatch)
    return plan.outcome
  }

  /// How the blocks at `positions` come to `targets`, and what they must then be.
  func plan(
    _ positions: Range<Int>, to targets: [BlockRange], in destination: KVPool
  ) throws(BatonError) -> MigrationPlan {
    let local = MemoryRegion.destination(destination)
    let remote = pool.layout.blocks
    let checks = BlockChecks(
      blockBytes: pool.layout.geometry.blockBytes.rawValue,
      checksums: Array(checksums[positions.clamped(to: checksums.indices)]))
    return try MigrationPlan(
      batch: pieces(of: blocks.blocks(at: positions), to: targets, in: destination),
      local: [local.key: local], remote: [remote.key: remote.length],
      checks: checksums.isEmpty ? nil : checks)
  }

  /// Throws the error of what has been read from `positions`, if it is not the sequence's: a block
  /// that was reused explains a checksum, so stamps come first.
  func verify(_ positions: Range<Int>, mismatch: BlockMismatch?) throws(BatonError) {
    let sources = blocks.blocks(at: positions)
    if let position = pool.firstStale(in: sources, stamps: Array(stamps[positions])) {
      throw staleBlock(at: positions.lowerBound + position)
    }
    if let mismatch {
      throw checksumMismatch(at: positions.lowerBound + mismatch.position, found: mismatch.found)
    }
  }

  private func checksumMismatch(at position: Int, found: UInt64) -> BatonError {
    BatonError(
      .checksumMismatch,
      "\(name(ofBlockAt: position)) has checksum \(Hexadecimal.string(found)) where it was copied; "
        + "\(Hexadecimal.string(checksums[position])) was told when it was written")
  }

  private func name(ofBlockAt position: Int) -> String {
    let block = blocks.block(at: position).map(\.description) ?? "?"
    return "block \(block) of \(peer), number \(position) of its sequence's,"
  }

  /// The pieces that bring `sources` to `targets`: one for each run that both have in common.
  func pieces(
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
    let blockBytes = pool.layout.geometry.blockBytes
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
