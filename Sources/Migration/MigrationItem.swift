package import KVCore

/// One piece of a migration, between the regions that both sides registered under one key.
package struct MigrationItem: Hashable, Sendable {
  package let region: RegionKey
  /// From the first byte of this side's region.
  package let targetOffset: ByteCount
  /// From the first byte of the peer's region.
  package let sourceOffset: ByteCount
  package let length: ByteCount

  package init(
    region: RegionKey, targetOffset: ByteCount, sourceOffset: ByteCount, length: ByteCount
  ) {
    self.region = region
    self.targetOffset = targetOffset
    self.sourceOffset = sourceOffset
    self.length = length
  }
}

/// What a completed migration did.
package struct MigrationOutcome: Hashable, Sendable {
  package let bytes: ByteCount
  /// Reads that the transport was given, after neighbours had been joined.
  package let reads: Int

  package init(bytes: ByteCount, reads: Int) {
    self.bytes = bytes
    self.reads = reads
  }
}
