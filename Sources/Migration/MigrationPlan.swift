import KVCore

/// A region as both sides of a link have it.
struct RegionSides {
  /// Where it begins in this process.
  let targetAddress: UInt
  let targetLength: ByteCount
  /// The peer's.
  let sourceLength: ByteCount
}

/// The reads that a batch comes to: checked against both sides' regions, neighbours joined.
struct MigrationPlan: Sendable {
  /// One read as a transport gets it.
  struct Read: Hashable, Sendable {
    let region: RegionKey
    /// From the first byte of the peer's region.
    let sourceOffset: Int
    /// In this process.
    let targetAddress: UInt
    let length: Int
    /// The place in the plan's checks of the first block that is read.
    let firstCheck: Int

    func prefix(_ count: Int) -> Read {
      Read(
        region: region, sourceOffset: sourceOffset, targetAddress: targetAddress, length: count,
        firstCheck: firstCheck)
    }

    /// - Parameter blockBytes: of what has a check of its own; `count` is a multiple of it where
    ///   anything is left. 1 where there are no checks, and no place in them means anything.
    func dropFirst(_ count: Int, blockBytes: Int) -> Read {
      Read(
        region: region, sourceOffset: sourceOffset + count,
        targetAddress: targetAddress + UInt(count), length: length - count,
        firstCheck: firstCheck + count / blockBytes)
    }
  }

  private(set) var reads: [Read] = []
  private(set) var bytes = ByteCount.zero
  /// Checked while the blocks are copied, one by one though neighbours are joined; nil where the
  /// batch is not verified.
  let checks: BlockChecks?

  private var pieceCount = 0

  /// Whether the bytes are too many to stay in the caches.
  var goesPastCaches: Bool { bytes >= MigrationLimits.pastCachesBytes }

  /// What it comes to when every read is done.
  var outcome: MigrationOutcome { MigrationOutcome(bytes: bytes, reads: reads.count) }

  /// Nothing yet.
  ///
  /// - Parameters:
  ///   - checks: of as many blocks as will be appended, in that order.
  ///   - capacity: about how many pieces will be appended.
  init(checks: BlockChecks? = nil, capacity: Int) {
    self.checks = checks
    reads.reserveCapacity(capacity)
  }

  /// Reads one piece more; one that follows the last on both sides joins it. With checks, a piece
  /// is whole blocks.
  ///
  /// - Parameter sides: the piece's region, on both sides.
  ///
  /// Throws `invalidArgument` for what does not fit; nothing is then appended.
  mutating func append(_ item: MigrationItem, of sides: RegionSides) throws(BatonError) {
    defer { pieceCount += 1 }
    guard Self.fits(item.targetOffset, item.length, in: sides.targetLength) else {
      throw refusal(item, "this side's region has \(sides.targetLength.rawValue) bytes")
    }
    guard Self.fits(item.sourceOffset, item.length, in: sides.sourceLength) else {
      throw refusal(item, "the peer's region has \(sides.sourceLength.rawValue) bytes")
    }
    let (total, overflows) = bytes.rawValue.addingReportingOverflow(item.length.rawValue)
    guard !overflows else { throw refusal(item, "the batch has too many bytes") }
    guard item.length > .zero else { return }
    var firstCheck = 0
    if let checks {
      precondition(
        item.length.rawValue % checks.blockBytes == 0
          && total <= checks.checksums.count * checks.blockBytes,
        "a plan with checks moves whole blocks, one for each checksum")
      firstCheck = bytes.rawValue / checks.blockBytes
    }
    append(
      Read(
        region: item.region, sourceOffset: item.sourceOffset.rawValue,
        targetAddress: sides.targetAddress + UInt(item.targetOffset.rawValue),
        length: item.length.rawValue, firstCheck: firstCheck))
    bytes = ByteCount(total)
  }

  /// Whether `offset ..< offset + length` lies in a region of `regionLength` bytes.
  static func fits(_ offset: ByteCount, _ length: ByteCount, in regionLength: ByteCount) -> Bool {
    offset >= .zero && length >= .zero && length <= regionLength
      && offset.rawValue <= regionLength.rawValue - length.rawValue
  }

  private mutating func append(_ read: Read) {
    guard let last = reads.last, last.region == read.region,
      last.sourceOffset + last.length == read.sourceOffset,
      last.targetAddress + UInt(last.length) == read.targetAddress
    else {
      reads.append(read)
      return
    }
    reads[reads.count - 1] = Read(
      region: last.region, sourceOffset: last.sourceOffset, targetAddress: last.targetAddress,
      length: last.length + read.length, firstCheck: last.firstCheck)
  }

  /// The same plan with only these of its reads, or parts of them.
  func keeping(_ reads: some Sequence<Read>) -> MigrationPlan {
    var plan = self
    plan.reads = Array(reads)
    plan.bytes = ByteCount(plan.reads.reduce(0) { $0 + $1.length })
    return plan
  }

  /// The reads in pieces of at most `maximumBytes`; where there are checks, of whole blocks, and
  /// of one block at least.
  func forEachPiece<Failure: Error>(
    of maximumBytes: Int, _ body: (Read) throws(Failure) -> Void
  ) throws(Failure) {
    let unit = checks?.blockBytes ?? 1
    let step = max(unit, maximumBytes / unit * unit)
    for read in reads {
      var rest = read
      while rest.length > 0 {
        let length = min(step, rest.length)
        try body(rest.prefix(length))
        rest = rest.dropFirst(length, blockBytes: unit)
      }
    }
  }

  /// What `forEachPiece` gives.
  func pieces(of maximumBytes: Int) -> [Read] {
    var pieces: [Read] = []
    pieces.reserveCapacity(reads.count + bytes.rawValue / max(1, maximumBytes))
    forEachPiece(of: maximumBytes) { pieces.append($0) }
    return pieces
  }

  /// What is wrong with the piece that is to be appended next.
  func refusal(_ item: MigrationItem, _ reason: String) -> BatonError {
    BatonError(
      .invalidArgument,
      "piece \(pieceCount) of a migration (region \(item.region), target "
        + "\(item.targetOffset.rawValue), source \(item.sourceOffset.rawValue), length "
        + "\(item.length.rawValue)): \(reason)")
  }
}
