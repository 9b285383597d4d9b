import CLinux
import Glibc
package import KVCore

/// Memory without a name that several processes can map: a memfd (memfd_create(2)).
///
/// It lives for as long as any process has it open or mapped, and leaves nothing behind.
package final class SharedMemoryFile: Sendable {
  /// What nobody can do to the file any more (fcntl(2), "File Sealing").
  package struct Seals: OptionSet, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: CInt

    package init(rawValue: CInt) { self.rawValue = rawValue }

    /// No further seals.
    package static let seal = Seals(rawValue: CLINUX_SEAL_SEAL)
    package static let shrink = Seals(rawValue: CLINUX_SEAL_SHRINK)
    package static let grow = Seals(rawValue: CLINUX_SEAL_GROW)
    /// No writing but through the mappings that exist already.
    package static let futureWrite = Seals(rawValue: CLINUX_SEAL_FUTURE_WRITE)

    /// What a pool has: whoever gets the descriptor can read and nothing else.
    package static let readOnlyForPeers: Seals = [.seal, .shrink, .grow, .futureWrite]

    package var description: String {
      let names: [(Seals, String)] = [
        (.shrink, "SHRINK"), (.grow, "GROW"), (.seal, "SEAL"), (.futureWrite, "FUTURE_WRITE"),
      ]
      let present = names.filter { contains($0.0) }.map(\.1)
      return present.isEmpty ? "none" : present.joined(separator: "|")
    }
  }

  /// For messages.
  package let name: String
  package let length: ByteCount
  private let descriptor: FileDescriptor

  private init(name: String, length: ByteCount, descriptor: consuming FileDescriptor) {
    self.name = name
    self.length = length
    self.descriptor = descriptor
  }

  /// A new file of zeros, at least `length` long: on hugetlb pages if enough are free, else on
  /// shmem pages. From one huge page on, the length is rounded up to whole huge pages.
  ///
  /// Throws `resourceExhausted` if the system gives no more descriptors or memory.
  package static func create(
    name: String, length: ByteCount
  ) throws(BatonError) -> SharedMemoryFile {
    precondition(length > .zero, "shared memory is not empty")
    let huge = SystemMemory.hugePageBytes
    let whole = SystemMemory.roundUp(
      length, to: length < huge ? SystemMemory.pageBytes : huge)
    if length >= huge, !SystemMemory.usesBasePagesOnly,
      SystemMemory.freeHugePages() >= whole.rawValue / huge.rawValue
    {
      // Others may take the free pages first, so a failure means shmem pages, not an error.
      if let file = try? create(name: name, wholeLength: whole, isHugetlb: true) { return file }
    }
    return try create(name: name, wholeLength: whole, isHugetlb: false)
  }

  private static func create(
    name: String, wholeLength: ByteCount, isHugetlb: Bool
  ) throws(BatonError) -> SharedMemoryFile {
    let created = unsafe clinux_memory_file(name, isHugetlb ? 1 : 0)
    let descriptor = FileDescriptor(owning: try check(created, "memfd_create", name))
    if ftruncate(descriptor.rawValue, wholeLength.rawValue) < 0 {
      throw BatonError(errno: errno, call: "ftruncate to \(wholeLength)", subject: name)
    }
    if isHugetlb {
      _ = try check(
        clinux_allocate(descriptor.rawValue, wholeLength.rawValue),
        "fallocate of \(wholeLength)", name)
    }
    return SharedMemoryFile(name: name, length: wholeLength, descriptor: descriptor)
  }

  /// A file that came from another process; `name` is for messages.
  package init(received descriptor: consuming FileDescriptor, name: String) throws(BatonError) {
    var status = stat()
    if unsafe fstat(descriptor.rawValue, &status) < 0 {
      throw BatonError(errno: errno, call: "fstat", subject: name)
    }
    self.name = name
    length = ByteCount(Int(status.st_size))
    self.descriptor = descriptor
  }

  /// How much of it has pages of memory, its own or swapped out: fstat(2) `st_blocks`, which counts
  /// 512 bytes each.
  package func presentBytes() throws(BatonError) -> ByteCount {
    var status = stat()
    if unsafe fstat(descriptor.rawValue, &status) < 0 {
      throw BatonError(errno: errno, call: "fstat", subject: name)
    }
    return ByteCount(Int(status.st_blocks) * 512)
  }

  /// fcntl(2) `F_GET_SEALS`.
  ///
  /// Throws `incompatible` for a descriptor that has none: a pipe, a socket, a file on a disk.
  package func seals() throws(BatonError) -> Seals {
    let seals = clinux_get_seals(descriptor.rawValue)
    if seals == -EINVAL {
      throw BatonError(.incompatible, "\(name) is no memory that can be sealed (memfd_create(2))")
    }
    return Seals(rawValue: try check(seals, "fcntl F_GET_SEALS", name))
  }

  /// fcntl(2) `F_ADD_SEALS`.
  package func add(_ seals: Seals) throws(BatonError) {
    _ = try check(
      clinux_add_seals(descriptor.rawValue, seals.rawValue), "fcntl F_ADD_SEALS \(seals)", name)
  }

  /// Lends the descriptor, for example to send it to a peer.
  package func withDescriptor<Result>(
    _ body: (borrowing FileDescriptor) throws(BatonError) -> Result
  ) throws(BatonError) -> Result {
    try body(descriptor)
  }
}
