package import KVCore
package import KVPool

/// Blocks of a peer's pool, used in place.
///
/// What was computed from them counts only if `firstStale` finds nothing **after** the last read.
/// They stay readable while this value exists, though the peer, the link and the lease may end;
/// only the stamps tell whether they are still the sequence's.
package struct BorrowedBlocks: Sendable {
  private let source: SourceBlocks
  private let pool: PeerPool

  /// - Parameter source: found final in `pool`.
  init(source: SourceBlocks, pool: PeerPool) {
    self.source = source
    self.pool = pool
  }

  /// In the sequence's order.
  package var blocks: [BlockRange] { source.blocks }
  /// Of each block in `blocks`.
  package var stamps: [UInt64] { source.stamps }

  /// Where each block lies in this process; to be read only.
  package var addresses: [UInt] {
    let blockBytes = UInt(pool.layout.blockBytes)
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
  package func staleBlock(at position: Int) -> BatonError { source.staleBlock(at: position) }

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
    let plan = try source.plan(positions, to: targets, in: destination)
    let start = pool.address(of: BlockIndex(0))
    let mismatch = try MemoryCopy.copy(plan) { _ in start }
    // A block that was reused explains a checksum, so stamps come first.
    let copied = blocks.blocks(at: positions)
    if let position = pool.firstStale(in: copied, stamps: Array(stamps[positions])) {
      throw staleBlock(at: positions.lowerBound + position)
    }
    if let mismatch {
      throw source.checksumMismatch(mismatch, first: positions.lowerBound)
    }
    return plan.outcome
  }
}
