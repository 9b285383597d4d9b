import CKernels
import KVCore

/// Copies between mapped memory.
package enum MemoryCopy {
  /// Copies everything in `plan`; `start` gives where a region of the peer begins here.
  static func copy(
    _ plan: MigrationPlan, from start: (RegionKey) throws(BatonError) -> UInt
  ) throws(BatonError) {
    for read in plan.reads {
      copy(
        from: try start(read.region) + UInt(read.sourceOffset), to: read.targetAddress,
        length: read.length, pastCaches: plan.goesPastCaches)
    }
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
}
