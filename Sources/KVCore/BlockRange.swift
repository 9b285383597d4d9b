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
