import CLinux
import Glibc
package import KVCore

/// A shared memory file in this process's address space: mmap(2), and munmap(2) at the end.
@safe
package struct SharedMapping: ~Copyable, @unchecked Sendable {
  // SAFETY: @unchecked holds because the pointer never changes and the memory behind it is shared
  // between processes anyway: its users synchronise by stamps, not by the type system.

  package enum Access: Sendable {
    case readOnly
    case readWrite
  }

  /// The first byte, on a page boundary, on a huge page's for files of that size.
  package let base: UnsafeMutableRawPointer
  package let length: ByteCount
  package let access: Access

  /// Maps the whole of `file`. Its pages are not there yet: see `populate`.
  ///
  /// Throws what mmap(2) says; `readWrite` of a file with the seal `futureWrite` is refused there.
  package init(of file: SharedMemoryFile, access: Access) throws(BatonError) {
    let alignment =
      file.length < SystemMemory.hugePageBytes
      ? SystemMemory.pageBytes : SystemMemory.hugePageBytes
    var address: UnsafeMutableRawPointer?
    try file.withDescriptor { (descriptor) throws(BatonError) in
      _ = try unsafe check(
        clinux_map_shared(
          descriptor.rawValue, file.length.rawValue, access == .readWrite ? 1 : 0,
          alignment.rawValue, &address),
        "mmap of \(file.length)", file.name)
    }
    guard let address = unsafe address else {
      throw BatonError(.internalError, "mmap of \(file.name) gave no address")
    }
    unsafe base = address
    length = file.length
    self.access = access
  }

  /// The address of the first byte as a number.
  package var address: UInt { unsafe UInt(bitPattern: base) }

  /// Makes all pages present now, so that no later access waits for the kernel, and huge where
  /// that can be; those of a `readWrite` mapping are allocated.
  ///
  /// Throws `resourceExhausted` where the memory does not suffice.
  package borrowing func populate() throws(BatonError) {
    try SystemMemory.populate(
      address: address, length: length, isWritable: access == .readWrite,
      wantsHugePages: length >= SystemMemory.hugePageBytes)
  }

  /// What pages the mapping lies on now; meaningful once it is populated.
  package borrowing func pageReport() -> PageReport {
    PageReport(
      address: address, total: length, smaps: SystemFile.text("/proc/self/smaps") ?? "")
  }

  deinit { unsafe munmap(base, length.rawValue) }
}
