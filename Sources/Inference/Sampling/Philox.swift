/// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy
/// as 1, 2, 3", SC 2011: the same key and counter always give the same 128 bits.
package enum Philox {
  /// Ten rounds over `counter` under `key`.
  package static func block(
    counter: SIMD4<UInt32>, key: SIMD2<UInt32>
  ) -> SIMD4<UInt32> {
    var counter = counter
    var key = key
    for _ in 0..<10 {
      let first = UInt32(0xD251_1F53).multipliedFullWidth(by: counter[0])
      let second = UInt32(0xCD9E_8D57).multipliedFullWidth(by: counter[2])
      counter = SIMD4(
        second.high ^ counter[1] ^ key[0], second.low,
        first.high ^ counter[3] ^ key[1], first.low)
      key &+= SIMD2(0x9E37_79B9, 0xBB67_AE85)
    }
    return counter
  }

  /// A number in 0 ..< 1 with 53 random bits, the draw number `position` of `seed`.
  package static func uniform(seed: UInt64, position: Int) -> Double {
    let place = UInt64(position)
    let bits = block(
      counter: SIMD4(UInt32(truncatingIfNeeded: place), UInt32(place >> 32), 0, 0),
      key: SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(seed >> 32)))
    let word = UInt64(bits[0]) << 32 | UInt64(bits[1])
    return Double(word >> 11) * 0x1p-53
  }
}
