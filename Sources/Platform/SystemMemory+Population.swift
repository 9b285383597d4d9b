import CLinux
import Glibc
package import KVCore

extension SystemMemory {
  /// As many threads make memory present side by side at most: from about here on it is the memory
  /// that they wait for.
  static let populationThreads = 8
  /// Less is not worth a thread of its own: the kernel clears it in some milliseconds.
  static let populationShare = ByteCount.mebibytes(64)

  /// Makes all pages of mapped memory present, by several threads where it is much: the kernel
  /// clears and maps what one thread asks for on one processor, and so does a device that pins it.
  ///
  /// - Parameters:
  ///   - isWritable: makes pages that can be written to, which the mapping must allow.
  ///   - wantsHugePages: first asks for huge pages; the address is then a multiple of one.
  ///
  /// Throws `resourceExhausted` where the memory does not suffice.
  package static func populate(
    address: UInt, length: ByteCount, isWritable: Bool, wantsHugePages: Bool = false
  ) throws(BatonError) {
    // madvise(2) takes whole pages.
    let start = address / UInt(pageBytes.rawValue) * UInt(pageBytes.rawValue)
    let whole = length + ByteCount(Int(address - start))
    let shares = populationShares(of: whole, processors: sysconf(CInt(_SC_NPROCESSORS_ONLN)))
    try PlatformThread.inParallel(shares.count, name: "populate") { place throws(BatonError) in
      let share = shares[place]
      let address = start + UInt(share.offset.rawValue)
      guard let base = unsafe UnsafeMutableRawPointer(bitPattern: address) else { return }
      let (page, writes) = (pageBytes.rawValue, CInt(isWritable ? 1 : 0))
      if wantsHugePages {
        unsafe clinux_make_huge(
          base, share.length.rawValue, writes, page, hugePageBytes.rawValue)
      }
      _ = try unsafe check(
        clinux_populate(base, share.length.rawValue, writes, page),
        "madvise MADV_POPULATE of \(share.length)", "memory")
    }
  }

  /// How `length` is divided: all of it is covered, and every share but the last is a multiple of a
  /// huge page.
  package static func populationShares(
    of length: ByteCount, processors: Int
  ) -> [(offset: ByteCount, length: ByteCount)] {
    guard length > .zero else { return [] }
    let threads = max(
      1, min(processors, populationThreads, length.rawValue / populationShare.rawValue))
    let share = roundUp(
      ByteCount((length.rawValue - 1) / threads + 1), to: hugePageBytes
    ).rawValue
    return stride(from: 0, to: length.rawValue, by: share).map {
      (ByteCount($0), ByteCount(min(share, length.rawValue - $0)))
    }
  }
}
