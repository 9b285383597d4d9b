import CKernels
import CXXHash
import TestSupport
import Testing

/// XXH3 and the copies that compute it, against the xxHash library of the system.
@Suite("Checksum kernels")
struct ChecksumTests {
  /// The paths that this CPU can run; `vectorPaths` says which ones it cannot.
  static let paths = [CK_PORTABLE] + KernelHarness.vectorPaths

  private static func bytes(_ count: Int, seed: UInt64) -> [UInt8] {
    var generator = SplitMix64(seed: seed)
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
  }

  /// The library's checksum of `count` bytes from `offset` on.
  private static func expected(_ data: AlignedBytes, _ offset: Int, _ count: Int) -> UInt64 {
    unsafe xxhash_xxh3_64bits(data.start + offset, count)
  }

  @Test("Every length up to 4096 has the library's checksum", arguments: paths)
  func everyLength(path: ck_path) {
    let data = AlignedBytes(Self.bytes(4_096 + 64, seed: 1))
    for length in 0...4_096 {
      let offset = length % 64
      let found = unsafe ck_checksum(path, data.start + offset, length)
      #expect(found == Self.expected(data, offset, length), "\(length) bytes")
    }
  }

  @Test("Long inputs of any length have the library's checksum", arguments: paths)
  func longInputs(path: ck_path) {
    let data = AlignedBytes(Self.bytes(1 << 20, seed: 2))
    var generator = SplitMix64(seed: 3)
    for _ in 0..<100 {
      let offset = Int.random(in: 0..<100, using: &generator)
      let length = Int.random(in: 4_097...data.count - offset, using: &generator)
      let found = unsafe ck_checksum(path, data.start + offset, length)
      #expect(found == Self.expected(data, offset, length), "\(length) bytes from \(offset)")
    }
  }

  /// Feeds all of `data` in pieces, and asks for the checksum after each.
  private func feed(_ path: ck_path, _ data: AlignedBytes, nextPiece: () -> Int) {
    var state = ck_checksum_begin()
    var fed = 0
    while fed < data.count {
      let piece = min(nextPiece(), data.count - fed)
      unsafe ck_checksum_feed(path, &state, data.start + fed, piece)
      fed += piece
      let found = unsafe ck_checksum_finish(path, &state)
      #expect(found == Self.expected(data, 0, fed), "after \(piece), \(fed) bytes in all")
    }
  }

  @Test("A checksum in pieces is the one of the whole, after each of them", arguments: paths)
  func pieces(path: ck_path) {
    var generator = SplitMix64(seed: 4)
    for largest in [1, 3, 64, 65, 200, 300, 1_024, 5_000] {
      for round in 1...4 {
        let data = AlignedBytes(Self.bytes(largest * 30 + round * 137, seed: UInt64(round)))
        feed(path, data) { Int.random(in: 0...largest, using: &generator) }
      }
    }
    // The layers' parts of a KV block are of one size, mostly a multiple of 64.
    for size in [64, 128, 192, 256, 1_000, 4_096, 16_384] {
      feed(path, AlignedBytes(Self.bytes(size * 12, seed: UInt64(size)))) { size }
    }
    let nothing = ck_checksum_begin()
    let empty = AlignedBytes([])
    let found = unsafe withUnsafePointer(to: nothing) { unsafe ck_checksum_finish(path, $0) }
    #expect(found == Self.expected(empty, 0, 0))
  }

  /// Blocks that follow each other, and how far their first bytes are from a multiple of 64.
  private struct Run {
    var blockBytes: Int
    var blocks = 1
    var sourceOffset = 0
    var targetOffset = 0
  }

  /// Copies `run` of `source`; returns how many blocks were as `expected`, and the last checksum
  /// found. Checks that the bytes of the first `copied` blocks have come, and nothing else changed.
  private func copy(
    _ path: ck_path, _ run: Run, of source: AlignedBytes, expected: [UInt64], pastCaches: Bool,
    copied: Int
  ) -> (matching: Int, found: UInt64) {
    var wanted = [UInt8](
      repeating: 0xA5, count: 64 + run.targetOffset + run.blockBytes * run.blocks + 64)
    let target = AlignedBytes(wanted)
    let start = 64 + run.targetOffset
    var found: UInt64 = 0
    let matching = unsafe ck_copy_verified(
      path, target.start + start, source.start + run.sourceOffset, run.blockBytes, run.blocks,
      expected, pastCaches, &found)
    let bytes = run.blockBytes * copied
    wanted.replaceSubrange(
      start..<start + bytes, with: source.bytes[run.sourceOffset..<run.sourceOffset + bytes])
    #expect(target.bytes == wanted, "\(run)")
    return (matching, found)
  }

  @Test(
    "A verified copy has every byte and the library's checksum, whatever the alignment",
    arguments: paths, [false, true])
  func copies(path: ck_path, pastCaches: Bool) {
    let source = AlignedBytes(Self.bytes(10_000, seed: 5))
    for length in [0, 1, 7, 16, 63, 64, 200, 240, 241, 256, 1_023, 1_024, 1_025, 4_096, 9_000] {
      for offset in 0..<64 {
        let run = Run(
          blockBytes: length, sourceOffset: offset * 29 % 64, targetOffset: offset)
        let expected = Self.expected(source, run.sourceOffset, length)
        let (matching, found) = copy(
          path, run, of: source, expected: [expected], pastCaches: pastCaches, copied: 1)
        #expect(matching == 1 && found == expected, "\(run)")
      }
    }
  }

  @Test(
    "A verified copy ends after the first block that is not as expected, with its checksum",
    arguments: paths, [false, true])
  func mismatches(path: ck_path, pastCaches: Bool) {
    for blockBytes in [48, 1_000, 4_096] {
      let source = AlignedBytes(Self.bytes(blockBytes * 5, seed: 6))
      let checksums = (0..<5).map { Self.expected(source, $0 * blockBytes, blockBytes) }
      let run = Run(blockBytes: blockBytes, blocks: 5)
      for bad in 0..<5 {
        // One bit of what is read, as opposed to what was hashed.
        unsafe source.start.storeBytes(
          of: source.bytes[bad * blockBytes] ^ 4, toByteOffset: bad * blockBytes, as: UInt8.self)
        let (matching, found) = copy(
          path, run, of: source, expected: checksums, pastCaches: pastCaches, copied: bad + 1)
        #expect(matching == bad)
        #expect(found == Self.expected(source, bad * blockBytes, blockBytes))
        #expect(found != checksums[bad])
        unsafe source.start.storeBytes(
          of: source.bytes[bad * blockBytes] ^ 4, toByteOffset: bad * blockBytes, as: UInt8.self)
      }
      let all = copy(
        path, run, of: source, expected: checksums, pastCaches: pastCaches, copied: 5)
      #expect(all.matching == 5)
    }
  }
}
