import Glibc
import KVCore
import Platform
import Testing

@Suite("Shared memory", .timeLimit(.minutes(1)))
struct SharedMemoryFileTests {
  @Test("A sealed file can be mapped read-only and in no other way")
  func sealedFileIsReadOnly() throws {
    let file = try SharedMemoryFile.create(name: "test", length: .kibibytes(16))
    let owner = try SharedMapping(of: file, access: .readWrite)
    try file.add(.readOnlyForPeers)
    #expect(throws: BatonError.self) {
      _ = try SharedMapping(of: file, access: .readWrite).length
    }
    let peer = try SharedMapping(of: file, access: .readOnly)
    unsafe owner.base.storeBytes(of: 0x5A, as: UInt8.self)
    let seen = unsafe peer.base.load(as: UInt8.self)
    #expect(seen == 0x5A)
  }

  @Test("A sealed file takes no further seal, and keeps its length")
  func sealsAreFinal() throws {
    let file = try SharedMemoryFile.create(name: "test", length: .kibibytes(4))
    try file.add(.readOnlyForPeers)
    #expect(try file.seals().isSuperset(of: .readOnlyForPeers))
    #expect(throws: BatonError.self) { try file.add(.shrink) }
    for length in [0, 1 << 20] {
      let result = try file.withDescriptor { truncate($0, to: length) }
      #expect(result == false)
    }
  }

  @Test("A file that is not sealed can be shrunk, so the test above can fail")
  func unsealedFileShrinks() throws {
    let file = try SharedMemoryFile.create(name: "test", length: .kibibytes(8))
    #expect(try file.seals().isDisjoint(with: .readOnlyForPeers))
    #expect(try file.withDescriptor { truncate($0, to: 4096) })
  }

  @Test("From one huge page on, the length is whole huge pages and the address aligned to one")
  func hugePageLengths() throws {
    let file = try SharedMemoryFile.create(name: "test", length: .mebibytes(3))
    #expect(file.length == .mebibytes(4))
    let mapping = try SharedMapping(of: file, access: .readWrite)
    try mapping.populate()
    let address = mapping.address
    #expect(address % UInt(SystemMemory.hugePageBytes.rawValue) == 0)
    let report = mapping.pageReport()
    #expect(report.total == .mebibytes(4))
    // Beside others, to be found by its own address.
    let other = try SharedMapping(of: file, access: .readOnly)
    try other.populate()
    #expect(other.pageReport() == report)
  }

  @Test("A received descriptor has the length of the file, not of a message")
  func receivedLength() throws {
    let file = try SharedMemoryFile.create(name: "test", length: ByteCount(5_000))
    let copy = try file.withDescriptor { (descriptor) throws(BatonError) in
      try SharedMemoryFile(
        received: FileDescriptor(owning: dup(descriptor.rawValue)), name: "copy")
    }
    #expect(copy.length == .kibibytes(8))
  }
}
