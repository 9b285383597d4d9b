import KVCore

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
  }

  private(set) var reads: [Read] = []
  private(set) var bytes = ByteCount.zero
  /// Checked while the blocks are copied, one by one though neighbours are joined; nil where the
  /// batch is not verified.
  let checks: BlockChecks?

  /// Whether the bytes are too many to stay in the caches.
  var goesPastCaches: Bool { bytes >= MigrationLimits.pastCachesBytes }

  /// What it comes to when every read is done.
  var outcome: MigrationOutcome { MigrationOutcome(bytes: bytes, reads: reads.count) }

  /// - Parameters:
  ///   - batch: in any order; pieces that follow each other on both sides become one read.
  ///   - local: this side's regions.
  ///   - remote: the lengths of the peer's regions.
  ///   - checks: of as many blocks as the pieces have in all, each piece being whole blocks.
  ///
  /// Throws `invalidArgument` that names the first piece that does not fit; nothing is then read.
  init(
    batch: [MigrationItem], local: [RegionKey: MemoryRegion], remote: [RegionKey: ByteCount],
    checks: BlockChecks? = nil
  ) throws(BatonError) {
    self.checks = checks
    // Without checks every read starts at check 0, which nobody looks for.
    let blockBytes = checks?.blockBytes ?? Int.max
    reads.reserveCapacity(batch.count)
    // Looked up only where the key changes: a batch may be thousands of pieces of one region.
    var key: RegionKey?
    var address: UInt = 0
    var targetLength = ByteCount.zero
    var sourceLength = ByteCount.zero
    for (index, item) in batch.enumerated() {
      if key != item.region {
        guard let target = local[item.region], let start = target.address else {
          throw Self.refusal(index, item, "this side has no writable region of that key")
        }
        guard let source = remote[item.region] else {
          throw Self.refusal(index, item, "the peer has no region of that key")
        }
        (key, address, targetLength, sourceLength) = (item.region, start, target.length, source)
      }
      guard Self.fits(item.targetOffset, item.length, in: targetLength) else {
        throw Self.refusal(index, item, "this side's region has \(targetLength.rawValue) bytes")
      }
      guard Self.fits(item.sourceOffset, item.length, in: sourceLength) else {
        throw Self.refusal(index, item, "the peer's region has \(sourceLength.rawValue) bytes")
      }
      let (total, overflows) = bytes.rawValue.addingReportingOverflow(item.length.rawValue)
      guard !overflows else { throw Self.refusal(index, item, "the batch has too many bytes") }
      append(
        item, at: address + UInt(item.targetOffset.rawValue), check: bytes.rawValue / blockBytes)
      bytes = ByteCount(total)
    }
    if let checks {
      precondition(
        bytes.rawValue == checks.checksums.count * checks.blockBytes
          && reads.allSatisfy { $0.length % checks.blockBytes == 0 },
        "a plan with checks moves whole blocks, one for each checksum")
    }
  }

  /// Whether `offset ..< offset + length` lies in a region of `regionLength` bytes.
  static func fits(_ offset: ByteCount, _ length: ByteCount, in regionLength: ByteCount) -> Bool {
    offset >= .zero && length >= .zero && length <= regionLength
      && offset.rawValue <= regionLength.rawValue - length.rawValue
  }

  private mutating func append(_ item: MigrationItem, at address: UInt, check: Int) {
    guard item.length > .zero else { return }
    if let last = reads.last, last.region == item.region,
      last.sourceOffset + last.length == item.sourceOffset.rawValue,
      last.targetAddress + UInt(last.length) == address
    {
      reads[reads.count - 1] = Read(
        region: last.region, sourceOffset: last.sourceOffset, targetAddress: last.targetAddress,
        length: last.length + item.length.rawValue, firstCheck: last.firstCheck)
    } else {
      reads.append(
        Read(
          region: item.region, sourceOffset: item.sourceOffset.rawValue, targetAddress: address,
          length: item.length.rawValue, firstCheck: check))
    }
  }

  /// The same plan with only these of its reads, or parts of them.
  func keeping(_ reads: [Read]) -> MigrationPlan {
    var plan = self
    plan.reads = reads
    plan.bytes = ByteCount(reads.reduce(0) { $0 + $1.length })
    return plan
  }

  /// The reads in pieces of at most `maximumBytes`; where there are checks, of whole blocks, and
  /// of one block at least.
  func pieces(of maximumBytes: Int) -> [Read] {
    let unit = checks?.blockBytes ?? 1
    let step = max(unit, maximumBytes / unit * unit)
    var pieces: [Read] = []
    pieces.reserveCapacity(reads.count + bytes.rawValue / step)
    for read in reads {
      for start in stride(from: 0, to: read.length, by: step) {
        pieces.append(
          Read(
            region: read.region, sourceOffset: read.sourceOffset + start,
            targetAddress: read.targetAddress + UInt(start),
            length: min(step, read.length - start),
            firstCheck: read.firstCheck + (checks == nil ? 0 : start / unit)))
      }
    }
    return pieces
  }

  private static func refusal(_ index: Int, _ item: MigrationItem, _ reason: String) -> BatonError {
    BatonError(
      .invalidArgument,
      "piece \(index) of a migration (region \(item.region), target "
        + "\(item.targetOffset.rawValue), source \(item.sourceOffset.rawValue), length "
        + "\(item.length.rawValue)): \(reason)")
  }
}
