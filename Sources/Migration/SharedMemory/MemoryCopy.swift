import CKernels
import KVCore

/// Copies between mapped memory.
package enum MemoryCopy {
  /// Copies everything in `plan`; `start` gives where a region of the peer begins here.
  ///
  /// Returns the first block that is not as the plan's checks say, after which it ends.
  static func copy(
    _ plan: MigrationPlan, from start: (RegionKey) throws(BatonError) -> UInt
  ) throws(BatonError) -> BlockMismatch? {
    // Asked for only where the region changes: a plan may be thousands of reads of one.
    var region: RegionKey?
    var base: UInt = 0
    for read in plan.reads {
      if region != read.region { (region, base) = (read.region, try start(read.region)) }
      let source = base + UInt(read.sourceOffset)
      guard let checks = plan.checks else {
        copy(
          from: source, to: read.targetAddress, length: read.length,
          pastCaches: plan.goesPastCaches)
        continue
      }
      let blocks = read.firstCheck..<read.firstCheck + read.length / checks.blockBytes
      let mismatch = copyVerified(
        from: source, to: read.targetAddress, blocks: blocks, checks: checks,
        pastCaches: plan.goesPastCaches)
      if let mismatch { return mismatch }
    }
    return nil
  }

  /// Both ranges must be mapped, the target writable, and must not overlap.
  ///
  /// - Parameter pastCaches: for a part of more than the caches hold: see `ck_copy_past_caches`.
  package static func copy(from source: UInt, to target: UInt, length: Int, pastCaches: Bool) {
    guard let source = unsafe UnsafeRawPointer(bitPattern: source),
      let target = unsafe UnsafeMutableRawPointer(bitPattern: target)
    else { preconditionFailure("mapped memory does not start at address 0") }
    if pastCaches {
      unsafe ck_copy_past_caches(target, source, length)
    } else {
      unsafe target.copyMemory(from: source, byteCount: length)
    }
  }

  /// Copies neighbouring blocks and computes their checksums in the same pass over memory; see
  /// `ck_copy_verified`. The ranges are as `copy` wants them.
  ///
  /// - Parameter blocks: their places in `checks`.
  ///
  /// Returns the first block that is not as `checks` says; those after it are not copied.
  static func copyVerified(
    from source: UInt, to target: UInt, blocks: Range<Int>, checks: BlockChecks, pastCaches: Bool
  ) -> BlockMismatch? {
    guard let source = unsafe UnsafeRawPointer(bitPattern: source),
      let target = unsafe UnsafeMutableRawPointer(bitPattern: target)
    else { preconditionFailure("mapped memory does not start at address 0") }
    return unsafe checks.checksums.withUnsafeBufferPointer { checksums in
      guard !blocks.isEmpty, let expected = checksums.baseAddress else { return nil }
      precondition(checksums.indices.contains(blocks.upperBound - 1), "every block has a checksum")
      var found: UInt64 = 0
      let matching = unsafe ck_copy_verified(
        ck_fastest_path(), target, source, checks.blockBytes, blocks.count,
        expected + blocks.lowerBound, pastCaches, &found)
      guard matching < blocks.count else { return nil }
      return BlockMismatch(position: blocks.lowerBound + matching, found: found)
    }
  }
}
