import Migration
import TestSupport
import Testing

@Suite("Copies between mapped memory")
struct MemoryCopyTests {
  @Test(
    "Every length, from and to every alignment, is copied to the byte and no further",
    arguments: [false, true])
  func exact(pastCaches: Bool) {
    var generator = SplitMix64(seed: 4)
    for length in Array(0...200) + [4_095, 4_096, 5_000] {
      for _ in 0..<8 {
        let source = (0..<length + 32).map { _ in UInt8.random(in: 0...255, using: &generator) }
        var target = [UInt8](repeating: 0xA5, count: length + 96)
        let (from, to) = (Int(generator.next() % 32), 32 + Int(generator.next() % 32))
        var expected = target
        expected.replaceSubrange(to..<to + length, with: source[from..<from + length])
        unsafe source.withUnsafeBytes { source in
          unsafe target.withUnsafeMutableBytes { target in
            MemoryCopy.copy(
              from: UInt(bitPattern: source.baseAddress) + UInt(from),
              to: UInt(bitPattern: target.baseAddress) + UInt(to), length: length,
              pastCaches: pastCaches)
          }
        }
        #expect(target == expected, "\(length) bytes from \(from) to \(to)")
      }
    }
  }
}
