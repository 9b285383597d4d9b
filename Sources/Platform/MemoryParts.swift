import Glibc

/// Pieces of this process's memory that are sent or filled in one go, one after the other: a buffer
/// of iovec (readv(2)) that is filled anew for each, so that nothing is allocated on the way.
@safe
package struct MemoryParts: ~Copyable {
  private let parts: UnsafeMutableBufferPointer<iovec>
  package private(set) var count = 0

  package init(capacity: Int) {
    unsafe parts = .allocate(capacity: capacity)
  }

  package var capacity: Int { unsafe parts.count }

  /// - Parameter address: mapped for `length` bytes, for as long as the part is used.
  package mutating func append(address: UInt, length: Int) {
    precondition(count < capacity, "parts are counted before they are added")
    unsafe parts.initializeElement(
      at: count,
      to: iovec(iov_base: UnsafeMutableRawPointer(bitPattern: address), iov_len: length))
    count += 1
  }

  package mutating func removeAll() { count = 0 }

  /// Lends the parts to a system call that may change them; they are gone afterwards.
  mutating func take<Result>(
    _ body: (UnsafeMutablePointer<iovec>, Int) -> Result
  ) -> Result? {
    defer { count = 0 }
    guard let first = unsafe parts.baseAddress, count > 0 else { return nil }
    return unsafe body(first, count)
  }

  deinit { unsafe parts.deallocate() }
}
