import CXXHash
import KVCore
import KVPool
import TestSupport
import Testing

@Suite("Checksums of blocks")
struct BlockChecksumTests {
  @Test("A block's checksum is the library's, at once and fed in parts")
  func equalsLibrary() throws {
    let pool = try makePool(blocks: 3)
    let bytes = pool.geometry.blockBytes.rawValue
    let block = BlockIndex(1)
    fill(pool.address(of: block), with: 0x0123_4567_89AB_CDEF, bytes: bytes)
    let expected = unsafe xxhash_xxh3_64bits(
      UnsafeRawPointer(bitPattern: pool.address(of: block)), bytes)
    #expect(pool.checksum(of: block) == expected)
    for part in [64, 1_000, bytes] {
      var checksum = BlockChecksum()
      for start in stride(from: 0, to: bytes, by: part) {
        checksum.feed(start..<min(start + part, bytes), of: block, in: pool)
      }
      #expect(checksum.finish() == expected)
    }
    #expect(pool.checksum(of: BlockIndex(2)) != expected)
  }
}
