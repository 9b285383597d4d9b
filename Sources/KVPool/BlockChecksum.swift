import CKernels
package import KVCore

/// The checksum of one block, XXH3 with 64 bits and seed 0, whose bytes are fed as they become
/// final.
package struct BlockChecksum: Sendable {
  private var state = ck_checksum_begin()

  package init() {}

  /// Takes in the next bytes of the block, counted from its first.
  package mutating func feed(_ bytes: Range<Int>, of block: BlockIndex, in pool: KVPool) {
    precondition(
      0 <= bytes.lowerBound && bytes.upperBound <= pool.layout.blockBytes,
      "bytes \(bytes) of a block of \(pool.geometry.blockBytes)")
    let start = unsafe pool.bytes(of: block) + bytes.lowerBound
    unsafe ck_checksum_feed(ck_fastest_path(), &state, start, bytes.count)
  }

  /// The checksum of all bytes that were fed.
  package consuming func finish() -> UInt64 {
    unsafe ck_checksum_finish(ck_fastest_path(), &state)
  }
}

extension KVPool {
  /// The checksum of all bytes of a block as they are now.
  package func checksum(of block: BlockIndex) -> UInt64 {
    unsafe ck_checksum(ck_fastest_path(), bytes(of: block), geometry.blockBytes.rawValue)
  }
}
