/// A run of neighbouring blocks of one pool.
package struct BlockRange: Hashable, Sendable, CustomStringConvertible {
  package let first: BlockIndex
  package let count: UInt32

  package init(first: BlockIndex, count: UInt32) {
    self.first = first
    self.count = count
  }

  /// The first block after the run, as a number, because it may be the pool's end.
  package var end: Int { Int(first.rawValue) + Int(count) }

  package var blocks: some Sequence<BlockIndex> {
    (Int(first.rawValue)..<end).lazy.map { BlockIndex(UInt32($0)) }
  }

  package var description: String { "\(first)+\(count)" }
}

/// The number by which both sides of a link name one registered region.
package struct RegionKey: Hashable, Sendable, CustomStringConvertible {
  package let rawValue: UInt32

  package init(_ rawValue: UInt32) { self.rawValue = rawValue }

  package var description: String { "\(rawValue)" }
}

/// A contiguous run inside a registered region.
package struct Extent: Hashable, Sendable {
  package let region: RegionKey
  /// From the region's first byte.
  package let offset: ByteCount
  package let length: ByteCount

  package init(region: RegionKey, offset: ByteCount, length: ByteCount) {
    self.region = region
    self.offset = offset
    self.length = length
  }
}
