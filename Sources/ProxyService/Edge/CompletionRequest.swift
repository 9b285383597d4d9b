/// The body of `POST /v1/completions`, checked.
package struct CompletionRequest: Hashable, Sendable {
  package enum Prompt: Hashable, Sendable {
    case text(String)
    /// As the client sent them: which ids there are is the model's to say.
    case tokens([Int])
  }

  package var model: String
  package var prompt: Prompt
  /// Nil where the client leaves it to us.
  package var maximumTokens: Int?
  package var temperature: Float = 1
  /// Nil where the client leaves it to us.
  package var seed: UInt64?
  package var stops: [String] = []
  package var streams = false
  /// Whether a stream ends with the usage.
  package var includesUsage = false
  package var ignoresEndTokens = false
  /// Whether the tokens of the answer are wanted beside its text (vLLM's `return_token_ids`).
  package var returnsTokenIDs = false

  package init(model: String, prompt: Prompt) {
    self.model = model
    self.prompt = prompt
  }
}
