import Foundation
import Inference
import KVCore
import Testing

@Suite("Sampling")
struct SamplerTests {
  struct Vector: Sendable {
    let counter: SIMD4<UInt32>
    let key: SIMD2<UInt32>
    let result: SIMD4<UInt32>

    /// `philox4x32 10` of kat_vectors in Random123, the authors' implementation.
    static let all = [
      Vector(
        counter: SIMD4(repeating: 0), key: SIMD2(repeating: 0),
        result: SIMD4(0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8)),
      Vector(
        counter: SIMD4(repeating: .max), key: SIMD2(repeating: .max),
        result: SIMD4(0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD)),
      Vector(
        counter: SIMD4(0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344),
        key: SIMD2(0xA409_3822, 0x299F_31D0),
        result: SIMD4(0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1)),
    ]
  }

  @Test("Philox gives its authors' known answers", arguments: Vector.all)
  func knownAnswers(vector: Vector) {
    #expect(Philox.block(counter: vector.counter, key: vector.key) == vector.result)
  }

  @Test("Temperature zero takes the largest logit, the lowest token among equals")
  func greedy() {
    let logits: [Float] = [9, -1, 3, 7, 7, 2]
    // The slice leaves the first logit out: tokens count from the slice's start.
    #expect(Sampler.sample(logits: logits[1...], temperature: 0, seed: 3, position: 8) == 2)
  }

  @Test("Draws follow softmax(logits / temperature)", arguments: [Float(0.5), 1, 2])
  func distribution(temperature: Float) {
    let logits: [Float] = [0.5, -1, 2, 1.25, 0, -0.5, 1, 0.25]
    let draws = 20_000
    var counts = [Int](repeating: 0, count: logits.count)
    for position in 0..<draws {
      let token = Sampler.sample(
        logits: logits[...], temperature: temperature, seed: 42, position: position)
      counts[Int(token)] += 1
    }
    let weights = logits.map { exp(Double($0 / temperature)) }
    let total = weights.reduce(0, +)
    let squares = zip(counts, weights).map { count, weight in
      let expected = weight / total * Double(draws)
      return (Double(count) - expected) * (Double(count) - expected) / expected
    }
    // The 0.999 quantile of the chi-square distribution with seven degrees of freedom.
    #expect(squares.reduce(0, +) < 24.32)
  }

  @Test("The draw depends on the seed and the position alone")
  func determinism() {
    let logits = (0..<1000).map { Float($0 % 17) / 8 }
    func draw(seed: UInt64, position: Int) -> TokenID {
      Sampler.sample(logits: logits[...], temperature: 1, seed: seed, position: position)
    }
    let tokens = (0..<64).map { draw(seed: 7, position: $0) }
    #expect(tokens.reversed() == (0..<64).reversed().map { draw(seed: 7, position: $0) })
    #expect(tokens != (0..<64).map { draw(seed: 8, position: $0) })
    #expect(tokens != (0..<64).map { draw(seed: 7 + 1 << 32, position: $0) })
    #expect(tokens != (0..<64).map { draw(seed: 7, position: $0 + 64) })
  }

  @Test("A very low temperature and a single token choose what greedy does")
  func extremes() {
    let logits: [Float] = [-1e30, 1e30, 5]
    #expect(
      Sampler.sample(logits: logits[...], temperature: 1e-30, seed: 1, position: 1) == 1)
    #expect(Sampler.sample(logits: [4][...], temperature: 1, seed: 1, position: 1) == 0)
  }
}
