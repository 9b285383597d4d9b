import KVCore

extension MigrationPlan {
  /// - Parameters:
  ///   - batch: in any order; pieces that follow each other on both sides become one read.
  ///   - local: this side's regions.
  ///   - remote: the lengths of the peer's regions.
  ///
  /// Throws `invalidArgument` that names the first piece that does not fit; nothing is then read.
  init(
    batch: [MigrationItem], local: [MemoryRegion], remote: [RegionKey: ByteCount]
  ) throws(BatonError) {
    self.init(capacity: batch.count)
    // Looked up only where the key changes: a batch may be thousands of pieces of one region.
    var last: (key: RegionKey, sides: RegionSides)?
    for item in batch {
      if let last, last.key == item.region {
        try append(item, of: last.sides)
        continue
      }
      guard let target = local.first(where: { $0.key == item.region }), let address = target.address
      else { throw refusal(item, "this side has no writable region of that key") }
      guard let sourceLength = remote[item.region] else {
        throw refusal(item, "the peer has no region of that key")
      }
      let sides = RegionSides(
        targetAddress: address, targetLength: target.length, sourceLength: sourceLength)
      try append(item, of: sides)
      last = (item.region, sides)
    }
  }
}
