import Migration

/// What the memory itself can do: the same blocks, copied without a ticket, a stamp or a link.
struct PlainCopies: Sendable {
  private struct Copy {
    let source: UInt
    let target: UInt
    var length: Int
  }

  private var copies: [Copy] = []

  /// One copy for each run of blocks that follow each other on both sides.
  init(from sources: [UInt], to targets: [UInt], length: Int) {
    for (source, target) in zip(sources, targets) {
      if let last = copies.last, last.source + UInt(last.length) == source,
        last.target + UInt(last.length) == target
      {
        copies[copies.count - 1].length += length
      } else {
        copies.append(Copy(source: source, target: target, length: length))
      }
    }
  }

  func run(pastCaches: Bool) {
    for copy in copies {
      MemoryCopy.copy(
        from: copy.source, to: copy.target, length: copy.length, pastCaches: pastCaches)
    }
  }
}
