package import KVCore
import Platform

/// Where everything lies in a pool's memory: the blocks from the first byte on, then, from the
/// next page boundary on, one 64-byte line per block.
package struct PoolLayout: Hashable, Sendable {
  /// One region as a pool describes it.
  package struct Region: Hashable, Sendable {
    package let key: RegionKey
    /// From the first byte of the memory.
    package let offset: ByteCount
    package let length: ByteCount
    /// What is read as a whole: a block, or a line.
    package let unit: ByteCount
  }

  /// The region of the blocks.
  package static let blocksKey = RegionKey(0)
  /// The region of the lines.
  package static let linesKey = RegionKey(1)
  /// One cache line: `clinux_block_line`.
  package static let lineBytes = ByteCount(64)

  package let geometry: KVGeometry
  /// `geometry.blockBytes`, which is a sum.
  package let blockBytes: Int
  package let blockCount: Int
  package let blocks: Region
  package let lines: Region

  /// Throws `invalidArgument` for a block count outside `1...Limits.maximumPoolBlocks`, and for
  /// blocks that are empty or so large that the pool has no length.
  package init(geometry: KVGeometry, blockCount: Int) throws(BatonError) {
    guard (1...Limits.maximumPoolBlocks).contains(blockCount) else {
      throw BatonError(
        .invalidArgument,
        "a KV pool of \(blockCount) blocks: 1 to \(Limits.maximumPoolBlocks) are allowed")
    }
    let blockBytes = geometry.blockBytes.rawValue
    let (blocksLength, overflows) = blockBytes.multipliedReportingOverflow(by: blockCount)
    // Half of the address space is far more than any process can map, and leaves room to round.
    guard blockBytes > 0, !overflows, blocksLength <= Int.max / 2 else {
      throw BatonError(
        .invalidArgument, "a KV pool of \(blockCount) blocks with \(geometry) has no valid length")
    }
    self.geometry = geometry
    self.blockBytes = blockBytes
    self.blockCount = blockCount
    blocks = Region(
      key: Self.blocksKey, offset: .zero, length: ByteCount(blocksLength),
      unit: ByteCount(blockBytes))
    lines = Region(
      key: Self.linesKey,
      offset: SystemMemory.roundUp(ByteCount(blocksLength), to: SystemMemory.pageBytes),
      length: Self.lineBytes * blockCount, unit: Self.lineBytes)
  }

  /// In the order in which they lie in memory.
  package var regions: [Region] { [blocks, lines] }

  /// From the first byte of the blocks to the last of the lines.
  package var length: ByteCount { lines.offset + lines.length }

  /// Where block `block` starts, from the first byte of the memory.
  func offset(of block: BlockIndex) -> Int { Int(block.rawValue) * blockBytes }

  /// Where the line of block `block` starts, from the first byte of the memory.
  func lineOffset(of block: BlockIndex) -> Int {
    lines.offset.rawValue + Int(block.rawValue) * Self.lineBytes.rawValue
  }
}
