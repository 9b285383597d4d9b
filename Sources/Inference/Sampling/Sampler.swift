import CKernels
package import KVCore

/// Chooses the next token from a row of logits.
package enum Sampler {
  /// The token at `position` of the sequence, counted from the prompt's first token.
  ///
  /// Temperature 0 takes the largest logit, the lowest token among equals. Any other temperature,
  /// which must be positive, draws from softmax(logits / temperature) by inverting its cumulative
  /// distribution at the number that `seed` and `position` give: nothing else has a part in the
  /// choice, so a sequence goes on in another process as it would have gone on here. Returned is
  /// an index from the slice's start; the slice must not be empty.
  package static func sample(
    logits: ArraySlice<Float>, temperature: Float, seed: UInt64, position: Int
  ) -> TokenID {
    let best = greedy(logits)
    guard temperature > 0 else { return TokenID(best) }
    let weights = exponentials(
      logits, maximum: logits[logits.startIndex + best], temperature: temperature)
    let total = weights.reduce(into: 0.0) { $0 += Double($1) }
    let target = Philox.uniform(seed: seed, position: position) * total
    var sum = 0.0
    for (token, weight) in weights.enumerated() {
      sum += Double(weight)
      if sum > target { return TokenID(token) }
    }
    // The uniform number is below 1, but its product with the total may round up to the total; and
    // logits that are not numbers give no total at all.
    return TokenID(best)
  }

  private static func greedy(_ logits: ArraySlice<Float>) -> Int {
    precondition(!logits.isEmpty, "there must be logits to choose from")
    var best = logits.startIndex
    for index in logits.indices where logits[index] > logits[best] { best = index }
    return best - logits.startIndex
  }

  private static func exponentials(
    _ logits: ArraySlice<Float>, maximum: Float, temperature: Float
  ) -> [Float] {
    unsafe [Float](unsafeUninitializedCapacity: logits.count) { weights, count in
      count = logits.count
      unsafe logits.withUnsafeBufferPointer { logits in
        guard let source = logits.baseAddress, let target = weights.baseAddress
        else { return }
        unsafe ck_exponentials(
          ck_fastest_path(), source, logits.count, maximum, temperature, target)
      }
    }
  }
}
