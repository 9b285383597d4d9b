import KVCore
import KVPool
import Platform
import Synchronization
import TestSupport
import Testing

@Suite("A peer's pool", .timeLimit(.minutes(1)))
struct PeerPoolTests {
  @Test("A descriptor that could still shrink is refused, and the message names the seals")
  func unsealedIsRefused() throws {
    let file = try SharedMemoryFile.create(name: "test", length: .kibibytes(64))
    try file.add(.grow)
    let error = #expect(throws: BatonError.self) { try openAsPeer(file) }
    #expect(error?.code == .incompatible)
    #expect(
      error?.message == "shared memory of prefill-0: seals GROW are there, SHRINK is needed")
  }

  @Test("Memory with holes is refused, because reading those would take memory here")
  func sparseIsRefused() throws {
    let file = try SharedMemoryFile.create(name: "test", length: .kibibytes(64))
    try file.add(.readOnlyForPeers)
    let error = #expect(throws: BatonError.self) { try openAsPeer(file) }
    #expect(error?.code == .incompatible)
    #expect(
      error?.message
        == "shared memory of prefill-0 has pages for 0 of its 65536 bytes; its owner must "
        + "populate it")
    #expect(try file.presentBytes() == .zero)
  }

  @Test("Memory that its owner could open for writing again is no pool")
  func partlySealedIsRefused() throws {
    let layout = try PoolLayout(geometry: smallGeometry, blockCount: 2)
    let file = try SharedMemoryFile.create(name: "test", length: layout.length)
    try SharedMapping(of: file, access: .readWrite).populate()
    try file.add([.shrink, .grow])
    let memory = try openAsPeer(file)
    let error = #expect(throws: BatonError.self) {
      try PeerPool(memory: memory, layout: layout, peer: try peerID())
    }
    #expect(error?.code == .incompatible)
    #expect(error?.message.contains("SHRINK|GROW are there") == true)
  }

  @Test("Memory that is shorter than the handshake's geometry needs is refused with both lengths")
  func tooSmallIsRefused() throws {
    let pool = try makePool(blocks: 2)
    let larger = try PoolLayout(geometry: smallGeometry, blockCount: 64)
    let tooShort = #expect(throws: BatonError.self) {
      try openAsPeer(pool.file, minimumLength: larger.length)
    }
    #expect(tooShort?.code == .incompatible)
    let memory = try openAsPeer(pool.file)
    let error = #expect(throws: BatonError.self) {
      try PeerPool(memory: memory, layout: larger, peer: try peerID())
    }
    #expect(error?.code == .incompatible)
    #expect(error?.message.contains("\(larger.length.rawValue)") == true)
    #expect(error?.message.contains("\(pool.file.length.rawValue)") == true)
  }

  @Test("Stamps that are odd, changed or zero are stale, and the first of them is named")
  func staleness() throws {
    let pool = try makePool(blocks: 8)
    let peer = try openAsPeer(pool)
    let list = ranges((4, 2), (0, 3))
    _ = try pool.allocate(blocks: 8)
    var stamps = list.flatMap(\.blocks).map { pool.endWrite($0) }
    #expect(peer.firstStale(in: list, stamps: stamps) == nil)

    // Written again: odd, then final under another stamp.
    pool.beginWrite(BlockIndex(1))
    #expect(peer.firstStale(in: list, stamps: stamps) == 3)
    let renewed = pool.endWrite(BlockIndex(1))
    #expect(peer.firstStale(in: list, stamps: stamps) == 3)
    stamps[3] = renewed
    #expect(peer.firstStale(in: list, stamps: stamps) == nil)

    // Freed and allocated by the next owner, who has not written yet.
    pool.free(ranges((4, 2)))
    #expect(peer.firstStale(in: list, stamps: stamps) == nil)
    _ = try pool.allocate(blocks: 1)
    #expect(peer.firstStale(in: list, stamps: stamps) == 0)

    // An expectation that no final block can have never matches, whatever the line says.
    let open = pool.currentStamp(BlockIndex(6))
    #expect(peer.firstStale(in: ranges((6, 1)), stamps: [open]) == 0)
    #expect(peer.firstStale(in: ranges((0, 1)), stamps: [stamps[2], 2]) == 1)
  }

  @Test("A block that was never written has no stamp that a reader could expect")
  func neverWritten() throws {
    let pool = try makePool(blocks: 1)
    let peer = try openAsPeer(pool)
    #expect(pool.currentStamp(BlockIndex(0)) == 0)
    #expect(peer.firstStale(in: ranges((0, 1)), stamps: [0]) == 0)
  }

  @Test("A reader beside a writer gets the bytes of the stamp, or learns that it did not")
  func readerBesideWriter() throws {
    let large = KVGeometry(blockTokens: 256, groups: smallGeometry.groups)
    let pool = try makePool(blocks: 2, geometry: large)
    let peer = try openAsPeer(pool)
    let blockBytes = large.blockBytes.rawValue
    let shared = Shared()
    // Two blocks by turns: one is final while the other is written, so that a reader may begin
    // with good reason and be overtaken all the same.
    let writer = try PlatformThread.start(name: "writer") {
      var block = BlockIndex(0)
      while !shared.isDone.load(ordering: .relaxed) {
        pool.beginWrite(block)
        // The content is the stamp that it will be final under.
        fill(
          pool.address(of: block), with: pool.currentStamp(block) + 1, bytes: blockBytes)
        let stamp = pool.endWrite(block)
        shared.published.store(stamp << 1 | UInt64(block.rawValue), ordering: .releasing)
        block = BlockIndex(1 - block.rawValue)
      }
    }
    let copy = UnsafeMutableRawPointer.allocate(byteCount: blockBytes, alignment: 64)
    defer { unsafe copy.deallocate() }
    /// One try to read what was published last: nil if it was stale before, false if after.
    func tryToRead() -> Bool? {
      let published = shared.published.load(ordering: .acquiring)
      let list = [BlockRange(first: BlockIndex(UInt32(published & 1)), count: 1)]
      let expected = published >> 1
      guard peer.firstStale(in: list, stamps: [expected]) == nil else { return nil }
      guard let source = unsafe UnsafeRawPointer(bitPattern: peer.address(of: list[0].first))
      else { return nil }
      unsafe copy.copyMemory(from: source, byteCount: blockBytes)
      guard peer.firstStale(in: list, stamps: [expected]) == nil else { return false }
      if !isFilled(UInt(bitPattern: copy), with: expected, bytes: blockBytes) {
        Issue.record("a torn block passed for stamp \(expected)")
      }
      return true
    }
    var begun = 0
    while begun < 20_000 { if tryToRead() != nil { begun += 1 } }
    shared.isDone.store(true, ordering: .relaxed)
    writer.join()
    #expect(tryToRead() == true)
  }

  @Test("Memory stays readable after its owner has let it go")
  func outlivesOwner() throws {
    var pool: KVPool? = try makePool(blocks: 2)
    let address = try #require(pool).address(of: BlockIndex(1))
    fill(address, with: 77, bytes: smallGeometry.blockBytes.rawValue)
    let peer = try openAsPeer(try #require(pool))
    pool = nil
    #expect(
      isFilled(
        peer.address(of: BlockIndex(1)), with: 77, bytes: smallGeometry.blockBytes.rawValue))
  }

  private final class Shared: Sendable {
    let published = Atomic<UInt64>(0)
    let isDone = Atomic<Bool>(false)
  }
}
