import ControlProtocol
package import KVCore
import Tokenizer

/// A completion that can be started: its model found, its prompt in tokens.
package struct PreparedCompletion: Sendable {
  package let request: CompletionRequest
  package let model: ServedModel
  package let generation: GenerationRequest

  /// - Parameter seed: drawn for the client that gave none.
  ///
  /// Throws `APIError` with status 400 for an empty prompt, for tokens that the model does not
  /// have, and for a prompt that does not fit into the context together with the answer.
  package init(
    _ request: CompletionRequest, id: RequestID, model: ServedModel,
    seed: @autoclosure () -> UInt64
  ) throws(APIError) {
    let tokens = try Self.tokens(of: request.prompt, model: model)
    let maximumTokens = try Self.maximumTokens(
      request.maximumTokens, prompt: tokens.count, context: model.contextTokens)
    self.request = request
    self.model = model
    generation = GenerationRequest(
      id: id, modelFingerprint: model.fingerprint, promptTokens: tokens,
      sampling: SamplingParameters(
        temperature: request.temperature, seed: request.seed ?? seed(),
        maximumTokens: UInt32(clamping: maximumTokens),
        ignoresEndTokens: request.ignoresEndTokens))
  }

  private static func tokens(
    of prompt: CompletionRequest.Prompt, model: ServedModel
  ) throws(APIError) -> [TokenID] {
    switch prompt {
    case .text(let text):
      let tokens = model.tokenizer.encode(text)
      guard !tokens.isEmpty else {
        throw .invalidRequest(
          "prompt: an empty prompt is not allowed with this model, which begins no text of its own",
          parameter: "prompt")
      }
      return tokens
    case .tokens(let ids):
      guard !ids.isEmpty else {
        throw .invalidRequest(
          "prompt: an empty list of tokens is not allowed; needed is at least one",
          parameter: "prompt")
      }
      let allowed = 0..<model.tokenizer.vocabularySize
      var tokens: [TokenID] = []
      tokens.reserveCapacity(ids.count)
      for id in ids {
        guard allowed.contains(id), let token = TokenID(exactly: id) else {
          throw .invalidRequest(
            "prompt: token \(id) is not allowed; allowed are tokens from 0 to "
              + "\(allowed.upperBound - 1)", parameter: "prompt")
        }
        tokens.append(token)
      }
      return tokens
    }
  }

  /// How long the answer may be, in tokens: as long as is `wanted`; where the client did not say,
  /// `EdgeLimits.defaultMaximumTokens`, or what the prompt leaves of them.
  private static func maximumTokens(
    _ wanted: Int?, prompt: Int, context: Int
  ) throws(APIError) -> Int {
    let rest = context - prompt
    guard rest >= 1 else {
      throw .invalidRequest(
        "This model's maximum context length is \(context) tokens, however your prompt has "
          + "\(prompt), which leaves none for the completion; reduce the prompt.",
        parameter: "prompt", code: "context_length_exceeded")
    }
    guard let wanted else { return min(EdgeLimits.defaultMaximumTokens, rest) }
    guard wanted <= rest else {
      throw .invalidRequest(
        "This model's maximum context length is \(context) tokens, however you requested "
          + "\(prompt) in your prompt and \(wanted) for the completion; reduce the prompt or "
          + "max_tokens.",
        parameter: "max_tokens", code: "context_length_exceeded")
    }
    return wanted
  }
}
