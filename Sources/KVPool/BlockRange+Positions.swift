package import KVCore

extension [BlockRange] {
  /// How many blocks there are in all ranges.
  package var blockCount: Int { reduce(0) { $0 + Int($1.count) } }

  /// The ranges of the blocks at `positions` of this list; short where the list ends before.
  package func blocks(at positions: Range<Int>) -> [BlockRange] {
    var result: [BlockRange] = []
    var start = 0
    for range in self {
      let end = start + Int(range.count)
      let wanted = positions.clamped(to: start..<end)
      if !wanted.isEmpty {
        result.append(
          BlockRange(
            first: BlockIndex(range.first.rawValue + UInt32(wanted.lowerBound - start)),
            count: UInt32(wanted.count)))
      }
      start = end
    }
    return result
  }

  /// The block at `position` of this list, or nil where the list ends before.
  package func block(at position: Int) -> BlockIndex? {
    blocks(at: position..<position + 1).first?.first
  }
}
