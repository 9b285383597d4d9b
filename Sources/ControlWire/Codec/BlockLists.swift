internal import CBatonWire
internal import KVCore

/// `Ticket.block_counts` and `Ticket.block_gaps`: runs of neighbouring blocks, each by its length
/// and its distance from the end of the run before.
enum BlockRuns {
  static func counts(of ranges: [BlockRange]) -> [UInt32] { ranges.map(\.count) }

  /// Every range lies in a pool, whose blocks `Limits.maximumPoolBlocks` numbers: a gap fits.
  static func gaps(of ranges: [BlockRange]) -> [Int32] {
    var end = 0
    return ranges.map { range in
      defer { end = range.end }
      return Int32(Int(range.first.rawValue) - end)
    }
  }

  /// The ranges that two lists of `counts.count` and `gaps.count` numbers say.
  ///
  /// Throws `invalidArgument` where the lists differ in length, a run is empty or not inside the
  /// largest pool, or all have more than `Limits.maximumPromptTokens` blocks.
  static func ranges(
    counts: UnsafeBufferPointer<UInt32>, gaps: UnsafeBufferPointer<Int32>
  ) throws(BatonError) -> [BlockRange] {
    try Field.require(
      count: gaps.count, "Ticket.block_gaps", toMatch: counts.count, "Ticket.block_counts",
      each: "run")
    // A block holds a token at least, and a run a block.
    try Field.require(
      count: counts.count, "Ticket.block_counts", maximum: Limits.maximumPromptTokens)
    var ranges: [BlockRange] = []
    ranges.reserveCapacity(counts.count)
    var end = 0
    var total = 0
    for index in 0..<counts.count {
      let count = Int(unsafe counts[index])
      let first = end + Int(unsafe gaps[index])
      total += count
      guard count > 0, total <= Limits.maximumPromptTokens else {
        throw BatonError(
          .invalidArgument,
          "Ticket.block_counts has a run of \(count) blocks, \(total) with those before: at least "
            + "1 and in all \(Limits.maximumPromptTokens) are allowed")
      }
      end = first + count
      guard first >= 0, end <= Limits.maximumPoolBlocks else {
        throw BatonError(
          .invalidArgument,
          "Ticket.block_gaps leads to blocks \(first) to \(end - 1), which are not inside "
            + "\(Limits.maximumPoolBlocks) blocks")
      }
      ranges.append(BlockRange(first: BlockIndex(UInt32(first)), count: UInt32(count)))
    }
    return ranges
  }
}

/// `PrefillProgress.first_stamp`, `stamp_runs` and `stamp_jumps`: stamps as a pool gives them out,
/// one after the other, and where they do not follow each other.
///
/// Blocks that were reserved together have stamps that rise by 2, so the usual list is its first
/// stamp alone.
struct StampRuns {
  /// Between the stamps of two blocks that were reserved one after the other: a pool counts on by
  /// one when a block is begun and by one when it is final.
  private static let step: UInt64 = 2

  private(set) var first: UInt64 = 0
  /// Blocks from the first, or from the one after the jump before, up to each jump.
  private(set) var runs: [UInt32] = []
  /// By how much the next stamp is more than `step` above the one before; modulo 2^64.
  private(set) var jumps: [Int64] = []

  init(_ stamps: [UInt64]) {
    guard let first = stamps.first else { return }
    self.first = first
    var expected = first
    var differences: UInt64 = 0
    let span = stamps.span
    for index in span.indices {
      differences |= span[index] ^ expected
      expected &+= Self.step
    }
    if differences != 0 { findJumps(in: stamps) }
  }

  private mutating func findJumps(in stamps: [UInt64]) {
    var expected = first
    var start = 0
    for (index, stamp) in stamps.enumerated() {
      if stamp != expected {
        runs.append(UInt32(index - start))
        jumps.append(Int64(bitPattern: stamp &- expected))
        start = index
      }
      expected = stamp &+ Self.step
    }
  }

  /// The stamps of the blocks that `checksums` are of.
  ///
  /// Throws `invalidArgument`, before it takes memory, where the lists differ in length, a run is
  /// empty or a jump has no block behind it.
  static func stamps(
    of checksums: [UInt64], first: UInt64, runs: UnsafeBufferPointer<UInt32>,
    jumps: UnsafeBufferPointer<Int64>
  ) throws(BatonError) -> [UInt64] {
    let count = checksums.count
    guard count > 0 || first == 0 else {
      throw BatonError(
        .invalidArgument,
        "PrefillProgress.first_stamp is \(first), but there is no block without "
          + "PrefillProgress.checksums")
    }
    try Field.require(
      count: jumps.count, "PrefillProgress.stamp_jumps", toMatch: runs.count,
      "PrefillProgress.stamp_runs", each: "jump")
    var before = 0
    for index in 0..<runs.count {
      let run = Int(unsafe runs[index])
      before += run
      guard run > 0, before < count else {
        throw BatonError(
          .invalidArgument,
          "PrefillProgress.stamp_runs has a run of \(run) blocks, \(before) with those before: at "
            + "least 1, and fewer in all than the \(count) PrefillProgress.checksums, are allowed")
      }
    }
    // The cheapest array of that length, all of which is overwritten: for the others the runtime
    // looks up the metadata of their storage, 20 ns each time.
    var stamps = checksums
    unsafe stamps.withUnsafeMutableBufferPointer { stamps in
      var stamp = first
      var start = 0
      for index in 0..<runs.count {
        let end = start + Int(unsafe runs[index])
        stamp = unsafe fill(stamps, start..<end, from: stamp)
        stamp &+= UInt64(bitPattern: unsafe jumps[index])
        start = end
      }
      _ = unsafe fill(stamps, start..<count, from: stamp)
    }
    return stamps
  }

  /// Writes stamps that rise by `step`, and returns the one that would follow.
  @inline(__always)
  private static func fill(
    _ stamps: UnsafeMutableBufferPointer<UInt64>, _ places: Range<Int>, from first: UInt64
  ) -> UInt64 {
    var stamp = first
    for place in places {
      unsafe stamps[place] = stamp
      stamp &+= step
    }
    return stamp
  }
}
