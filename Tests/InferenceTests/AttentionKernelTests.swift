import CKernels
import Foundation
import Testing

@Suite("Attention kernels", .timeLimit(.minutes(1)))
struct AttentionKernelTests {
  static let cases = [CK_FLOAT32, CK_BFLOAT16].flatMap { type in
    [
      AttentionCase(
        type, queryHeads: 1, keyValueHeads: 1, headDimension: 2, blockTokens: 1, tokens: 1,
        queryTokens: 1),
      AttentionCase(
        type, queryHeads: 6, keyValueHeads: 2, headDimension: 80, blockTokens: 7, tokens: 40,
        queryTokens: 9),
      AttentionCase(
        type, queryHeads: 8, keyValueHeads: 8, headDimension: 128, blockTokens: 16, tokens: 33,
        queryTokens: 33),
      // More heads share a KV head than are worked on together.
      AttentionCase(
        type, queryHeads: 40, keyValueHeads: 2, headDimension: 34, blockTokens: 5, tokens: 23,
        queryTokens: 2),
    ]
  }

  @Test("Attention has the same bits on every instruction set", arguments: cases)
  func sameBits(attention: AttentionCase) {
    let expected = KernelHarness(CK_PORTABLE).attend(attention)
    #expect(expected.allSatisfy { $0.isFinite })
    for path in KernelHarness.vectorPaths {
      for threads: UInt32 in [1, 3] {
        let found = KernelHarness(path, threads: threads).attend(attention)
        #expect(bits(found) == bits(expected), "path \(path.rawValue), threads \(threads)")
      }
    }
  }

  @Test("Attention is the softmax of the scaled products over the values", arguments: cases)
  func rightToRounding(attention: AttentionCase) throws {
    let found = KernelHarness(ck_fastest_path()).attend(attention)
    // The inputs' rounding to bfloat16 dominates where the cache holds that.
    let tolerance = attention.shape.data_type == CK_FLOAT32 ? 1e-5 : 2e-2
    let worst = zip(found, reference(attention)).map { abs(Double($0) - $1) }.max()
    #expect(try #require(worst) < tolerance)
  }

  private func reference(_ attention: AttentionCase) -> [Double] {
    let shape = attention.shape
    let (dimension, group) = (shape.head_dimension, shape.query_heads / shape.kv_heads)
    var result: [Double] = []
    for token in 0..<attention.queryTokens {
      let end = attention.tokens - attention.queryTokens + token + 1
      for head in 0..<shape.query_heads {
        let query = (token * shape.query_heads + head) * dimension
        func place(_ position: Int) -> Int {
          (position * shape.kv_heads + head / group) * dimension
        }
        let scores = (0..<end).map { position in
          (0..<dimension).reduce(0.0) {
            $0 + Double(attention.queries[query + $1])
              * Double(attention.keys[place(position) + $1])
          } * Double(attention.scale)
        }
        let largest = scores.max() ?? 0
        let weights = scores.map { exp($0 - largest) }
        let total = weights.reduce(0, +)
        for index in 0..<dimension {
          result.append(
            (0..<end).reduce(0.0) {
              $0 + weights[$1] / total * Double(attention.values[place($1) + index])
            })
        }
      }
    }
    return result
  }

  @Test("Stored bfloat16 is rounded to the nearest, ties to even, on every instruction set")
  func rounding() {
    let inputs: [(Float, UInt16)] = [
      (1, 0x3F80), (-0.0, 0x8000), (Float(bitPattern: 0x3F80_8000), 0x3F80),
      (Float(bitPattern: 0x3F81_8000), 0x3F82), (Float(bitPattern: 0x3F80_8001), 0x3F81),
      (Float(bitPattern: 0x3F80_7FFF), 0x3F80), (Float(bitPattern: 0x7F7F_FFFF), 0x7F80),
      (.infinity, 0x7F80), (-.infinity, 0xFF80), (Float(bitPattern: 0x0000_8001), 0x0001),
    ]
    // A quiet and a signalling one whose high half alone would read as infinity.
    let notNumbers: [UInt32] = [0x7FC0_0000, 0x7F80_0001]
    for path in [CK_PORTABLE] + KernelHarness.vectorPaths {
      let stored = KernelHarness(path).store(
        inputs.map(\.0) + notNumbers.map { Float(bitPattern: $0) })
      #expect(Array(stored[..<inputs.count]) == inputs.map(\.1))
      for half in stored[inputs.count...] {
        #expect(Float(bitPattern: UInt32(half) << 16).isNaN)
      }
    }
  }
}
