import CLinux
package import KVCore
import Platform

/// A peer's KV pool, read in place.
package final class PeerPool: Sendable {
  package let layout: PoolLayout
  private let memory: PeerMemory
  /// How far ahead of the check lines are fetched: about the latency of memory, over the time that
  /// checking one line takes.
  private static let rangesAhead = 16
  // Beside `layout`, because checking thousands of blocks must not copy it for each.
  private let blockCount: Int
  private let blockBytes: Int

  /// - Parameters:
  ///   - memory: what the peer shares, from the first byte of its pool on.
  ///   - layout: of the geometry and block count that the peer told in the handshake; nothing is
  ///     ever taken from the memory itself.
  ///   - peer: for messages.
  ///
  /// Throws `incompatible` if the memory is too short or lacks one of a pool's seals.
  package init(memory: PeerMemory, layout: PoolLayout, peer: EngineID) throws(BatonError) {
    guard memory.seals.isSuperset(of: .readOnlyForPeers) else {
      throw BatonError(
        .incompatible,
        "KV pool of \(peer): seals \(memory.seals) are there, all of "
          + "\(SharedMemoryFile.Seals.readOnlyForPeers) are needed")
    }
    guard memory.length >= layout.length else {
      throw BatonError(
        .incompatible,
        "KV pool of \(peer) has \(memory.length.rawValue) bytes; \(layout.blockCount) blocks need "
          + "\(layout.length.rawValue) (\(layout.geometry))")
    }
    self.memory = memory
    self.layout = layout
    blockCount = layout.blockCount
    blockBytes = layout.blockBytes
  }

  /// Where block `block` lies in this process, to be read only, and between two `verify`s.
  package func address(of block: BlockIndex) -> UInt {
    precondition(Int(block.rawValue) < blockCount, "a block of the peer's pool")
    return memory.address + UInt(Int(block.rawValue) * blockBytes)
  }

  /// Lends the memory of block `block` as words, to be read between two checks of its stamp. The
  /// block's length must be a multiple of eight bytes.
  package func withWords<Result>(
    of block: BlockIndex, _ body: (Span<UInt64>) -> Result
  ) -> Result {
    precondition(Int(block.rawValue) < blockCount, "a block of the peer's pool")
    precondition(blockBytes % MemoryLayout<UInt64>.size == 0, "a block of whole words")
    let first = unsafe (memory.base + Int(block.rawValue) * blockBytes)
      .assumingMemoryBound(to: UInt64.self)
    let words = unsafe Span(_unsafeStart: first, count: blockBytes / MemoryLayout<UInt64>.size)
    return body(words)
  }

  /// Compares the stamps of `ranges`, in order, with the final ones expected.
  ///
  /// Call it before and after reading: what was read in between is good if both find nothing.
  ///
  /// - Returns: the place in `stamps` of the first block that is being written or has been
  ///   reused, or nil.
  package func firstStale(in ranges: [BlockRange], stamps: [UInt64]) -> Int? {
    let firstLine = unsafe (memory.base + layout.lines.offset.rawValue)
      .assumingMemoryBound(to: clinux_block_line.self)
    var checked = 0
    return unsafe stamps.withUnsafeBufferPointer { stamps in
      for (place, range) in ranges.enumerated() {
        // The lines of blocks that lie apart are nothing that a processor foresees.
        if place + Self.rangesAhead < ranges.count {
          let ahead = ranges[place + Self.rangesAhead].first.rawValue
          unsafe clinux_prefetch(firstLine + Int(ahead))
        }
        precondition(range.end <= blockCount, "blocks are checked against the pool before")
        let count = min(Int(range.count), stamps.count - checked)
        guard count > 0, let expected = stamps.baseAddress else { continue }
        let matching = unsafe clinux_stamps_match(
          firstLine + Int(range.first.rawValue), expected + checked, count)
        if matching < count { return checked + matching }
        checked += count
      }
      return checked < stamps.count ? checked : nil
    }
  }
}
