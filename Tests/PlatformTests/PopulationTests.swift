import Glibc
import KVCore
import Platform
import Synchronization
import Testing

@Suite("Population of memory", .timeLimit(.minutes(1)))
struct PopulationTests {
  @Test(
    "Shares cover all of the memory, one for each processor, and end between huge pages",
    arguments: [
      (1, 4, 1), (127 << 20, 4, 1), (128 << 20, 4, 2), (129 << 20, 1, 1),
      ((1 << 30) + 5, 4, 4), (1 << 40, 96, 8), (257 << 20, 3, 3),
    ])
  func shares(length: Int, processors: Int, count: Int) {
    let shares = SystemMemory.populationShares(of: ByteCount(length), processors: processors)
    #expect(shares.count == count)
    var end = 0
    for share in shares {
      #expect(share.offset.rawValue == end && share.length > .zero)
      #expect(end % SystemMemory.hugePageBytes.rawValue == 0)
      end += share.length.rawValue
    }
    #expect(end == length)
    #expect(SystemMemory.populationShares(of: .zero, processors: processors).isEmpty)
  }

  /// Memory of the process's own, unmapped at the end.
  private final class Memory {
    let address: UInt
    let length: Int

    init(length: Int, protection: CInt) throws {
      let base = unsafe mmap(nil, length, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      address = UInt(bitPattern: base)
      self.length = length
      try #require(address != UInt(bitPattern: -1), "memory can be mapped")
    }

    /// Whether each page is present.
    var pages: [Bool] {
      var presence = [UInt8](repeating: 0, count: length / SystemMemory.pageBytes.rawValue)
      let base = unsafe UnsafeMutableRawPointer(bitPattern: address)
      guard unsafe mincore(base, length, &presence) == 0 else { return [] }
      return presence.map { $0 & 1 == 1 }
    }

    deinit { unsafe munmap(UnsafeMutableRawPointer(bitPattern: address), length) }
  }

  @Test("Every page of memory that begins and ends anywhere is present afterwards")
  func populate() throws {
    let page = SystemMemory.pageBytes.rawValue
    let memory = try Memory(length: 132 << 20, protection: PROT_READ | PROT_WRITE)
    #expect(!memory.pages.isEmpty && memory.pages.allSatisfy { !$0 })
    try SystemMemory.populate(
      address: memory.address + UInt(page) + 7, length: ByteCount(memory.length - 2 * page),
      isWritable: true)
    #expect(memory.pages.dropFirst().allSatisfy { $0 })
  }

  @Test("Memory that cannot be touched is an error")
  func untouchable() throws {
    let memory = try Memory(length: 4 << 20, protection: PROT_NONE)
    #expect(throws: BatonError.self) {
      try SystemMemory.populate(
        address: memory.address, length: ByteCount(memory.length), isWritable: true)
    }
  }

  @Test("Work side by side is done for each number, and the first error comes when all have ended")
  func inParallel() throws {
    let done = Mutex<Set<Int>>([])
    try PlatformThread.inParallel(5, name: "work") { number in
      done.withLock { _ = $0.insert(number) }
    }
    #expect(done.withLock { $0 } == [0, 1, 2, 3, 4])
    let error = #expect(throws: BatonError.self) {
      try PlatformThread.inParallel(3, name: "work") { number throws(BatonError) in
        if number == 1 { throw BatonError(.cancelled, "on purpose") }
        done.withLock { _ = $0.insert(10 + number) }
      }
    }
    #expect(error?.message == "on purpose")
    #expect(done.withLock { $0.isSuperset(of: [10, 12]) })
    try PlatformThread.inParallel(0, name: "work") { _ throws(BatonError) in
      throw BatonError(.cancelled, "there is no work")
    }
  }
}
