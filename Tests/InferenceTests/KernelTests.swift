import CKernels
import Foundation
import Inference
import Testing

@Suite("Kernels", .timeLimit(.minutes(1)))
struct KernelTests {
  /// Input rows, depth and rows of weights: tiles that are full, cut, and smaller than one vector.
  static let productShapes = [
    (1, 1, 1), (1, 15, 3), (2, 16, 16), (3, 17, 33), (4, 64, 16), (5, 100, 47), (7, 33, 1),
    (9, 250, 70), (70, 48, 130),
  ]

  static func weights(_ count: Int) -> [Weights] {
    [.float32(numbers(count, seed: 5)), .bfloat16(halves(count, seed: 6))]
  }

  @Test("Products have the same bits on every instruction set", arguments: productShapes)
  func products(rows: Int, depth: Int, columns: Int) {
    let x = numbers(rows * depth, seed: 4)
    let weights = Self.weights(depth * columns)
    let expected = KernelHarness(CK_PORTABLE)
      .multiply(x, rows: rows, depth: depth, weights: weights)
    for path in KernelHarness.vectorPaths {
      for threads: UInt32 in [1, 3] {
        let found = KernelHarness(path, threads: threads)
          .multiply(x, rows: rows, depth: depth, weights: weights)
        #expect(found.map(bits) == expected.map(bits), "path \(path.rawValue)")
      }
    }
  }

  @Test("Products are right to rounding", arguments: productShapes)
  func productsAreRight(rows: Int, depth: Int, columns: Int) throws {
    let x = numbers(rows * depth, seed: 4)
    for weights in Self.weights(depth * columns) {
      let found = KernelHarness(ck_fastest_path())
        .multiply(x, rows: rows, depth: depth, weights: [weights])[0]
      let w = weights.floats
      let errors = found.indices.map { index in
        let exact = (0..<depth).reduce(0.0) {
          let (row, column) = (index / columns, index % columns)
          return $0 + Double(x[row * depth + $1]) * Double(w[column * depth + $1])
        }
        return abs(Double(found[index]) - exact)
      }
      // The bound of a chain of additions: a rounding of at most 1e-6 for each.
      #expect(try #require(errors.max()) < 1e-6 * Double(depth + 4))
    }
  }

  @Test("A row's product does not depend on the rows beside it")
  func rowsAreIndependent() {
    let depth = 83
    let x = numbers(11 * depth, seed: 4)
    let harness = KernelHarness(ck_fastest_path())
    for weights in Self.weights(depth * 37) {
      let together = harness.multiply(x, rows: 11, depth: depth, weights: [weights])[0]
      for row in 0..<11 {
        let alone = harness.multiply(
          Array(x[(row * depth)..<((row + 1) * depth)]), rows: 1, depth: depth,
          weights: [weights])[0]
        #expect(bits(Array(together[(row * 37)..<((row + 1) * 37)])) == bits(alone))
      }
    }
  }

  @Test("Norms have the same bits on every instruction set and are right", arguments: [1, 16, 83])
  func norms(width: Int) {
    let rows = 3
    let x = numbers(rows * width, seed: 8, scale: 3)
    let weight = numbers(width, seed: 9)
    let expected = KernelHarness(CK_PORTABLE).rmsNorm(x, weight, epsilon: 1e-5, rows: rows)
    for path in KernelHarness.vectorPaths {
      let found = KernelHarness(path).rmsNorm(x, weight, epsilon: 1e-5, rows: rows)
      #expect(bits(found) == bits(expected), "path \(path.rawValue)")
    }
    for row in 0..<rows {
      let inputs = x[(row * width)..<((row + 1) * width)].map(Double.init)
      let mean = inputs.reduce(0) { $0 + $1 * $1 } / Double(width)
      for index in 0..<width {
        let exact = inputs[index] / (mean + 1e-5).squareRoot() * Double(weight[index])
        #expect(abs(Double(expected[row * width + index]) - exact) < 1e-6 * (1 + abs(exact)))
      }
    }
  }

  @Test("SiLU has the same bits on every instruction set and is right", arguments: [1, 16, 83])
  func silu(width: Int) {
    let gate = numbers(2 * width, seed: 10, scale: 20)
    let up = numbers(2 * width, seed: 11, scale: 2)
    let expected = KernelHarness(CK_PORTABLE).siluMultiply(gate: gate, up: up, rows: 2)
    for path in KernelHarness.vectorPaths {
      let found = KernelHarness(path).siluMultiply(gate: gate, up: up, rows: 2)
      #expect(bits(found) == bits(expected), "path \(path.rawValue)")
    }
    for index in gate.indices {
      let exact = Double(gate[index]) / (1 + exp(-Double(gate[index]))) * Double(up[index])
      #expect(abs(Double(expected[index]) - exact) <= 1e-6 * abs(exact))
    }
  }

  @Test("Exponentials are within two units in the last place, on every instruction set the same")
  func exponentials() {
    let x = numbers(20_000, seed: 12, scale: 87.3) + [0, -0.0, 88.71, -87.32]
    let expected = KernelHarness(CK_PORTABLE).exponentials(x)
    for path in KernelHarness.vectorPaths {
      #expect(bits(KernelHarness(path).exponentials(x)) == bits(expected))
    }
    for (input, output) in zip(x, expected) {
      let exact = exp(Double(input))
      #expect(abs(Double(output) - exact) <= 2 * Double(Float(exact).ulp), "exp(\(input))")
    }
  }

  @Test("Exponentials end in zero and infinity, and keep what is not a number")
  func exponentialsAtTheEnds() {
    for path in [CK_PORTABLE] + KernelHarness.vectorPaths {
      let found = KernelHarness(path).exponentials([-87.4, -.infinity, 88.8, .infinity, .nan])
      #expect(found[0] == 0 && found[1] == 0)
      #expect(found[2] == .infinity && found[3] == .infinity)
      #expect(found[4].isNaN)
      let scaled = KernelHarness(path).exponentials([3, 1], maximum: 3, temperature: 0.5)
      #expect(scaled[0] == 1 && abs(scaled[1] - 0.018_315_64) < 1e-8)
    }
  }

  @Test("Rotary frequencies and angles equal the mathematical library's", arguments: [1e4, 5e5])
  func rotary(base: Double) {
    let dimension = 128
    var frequencies = [Float](repeating: 0, count: dimension / 2)
    unsafe ck_inverse_frequencies(base, dimension, &frequencies)
    for (index, frequency) in frequencies.enumerated() {
      let exact = pow(base, -2 * Double(index) / Double(dimension))
      #expect(abs(Double(frequency) - exact) <= Double(Float(exact).ulp) / 2 * 1.001)
    }
    var angles = [Float](repeating: 0, count: dimension)
    for position in stride(from: 0, to: 1 << 20, by: 9_973) {
      unsafe ck_rotary_angles(position, frequencies, dimension / 2, &angles)
      for (index, frequency) in frequencies.enumerated() {
        let angle = Double(Float(position) * frequency)
        #expect(abs(Double(angles[index]) - cos(angle)) < 6e-8)
        #expect(abs(Double(angles[dimension / 2 + index]) - sin(angle)) < 6e-8)
      }
    }
  }
}
