package import ControlProtocol
import Inference
package import KVCore

/// The token that continues a sequence, and whether the answer ends there.
package struct NextToken: Sendable {
  /// Nil for an end token, which is not delivered.
  package let token: TokenID?
  package let finish: FinishReason?
}

extension EngineHost {
  /// Chooses the next token. Prefill and decode both choose here, so that an answer goes on and
  /// ends the same wherever it is written.
  ///
  /// - Parameters:
  ///   - logits: of the sequence's last token, `[vocabularySize]`.
  ///   - position: the place in the sequence of the token that is chosen; the prompt's first is 0.
  ///   - index: its place in the answer.
  package func nextToken(
    logits: ArraySlice<Float>, sampling: SamplingParameters, position: Int, index: Int
  ) -> NextToken {
    let token = Sampler.sample(
      logits: logits, temperature: sampling.temperature, seed: sampling.seed, position: position)
    if !sampling.ignoresEndTokens, engine.model.endTokens.contains(token) {
      return NextToken(token: nil, finish: .stop)
    }
    let isLast = index + 1 >= Int(sampling.maximumTokens)
    return NextToken(token: token, finish: isLast ? .length : nil)
  }
}
