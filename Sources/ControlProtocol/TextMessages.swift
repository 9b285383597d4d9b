/// Client to proxy: complete this text. Answered by a stream of `textChunk`.
package struct TextRequest: Hashable, Sendable {
  /// Empty for the one that is served.
  package var model: String
  package var prompt: String
  /// Nil for as many as clients get that do not say.
  package var maximumTokens: UInt32?
  /// 0 is greedy.
  package var temperature: Float
  /// Nil for one that the proxy draws.
  package var seed: UInt64?
  /// The answer ends before the first of these.
  package var stops: [String]
  package var ignoresEndTokens: Bool

  package init(
    model: String, prompt: String, maximumTokens: UInt32?, temperature: Float, seed: UInt64?,
    stops: [String], ignoresEndTokens: Bool
  ) {
    self.model = model
    self.prompt = prompt
    self.maximumTokens = maximumTokens
    self.temperature = temperature
    self.seed = seed
    self.stops = stops
    self.ignoresEndTokens = ignoresEndTokens
  }
}

/// A piece of an answer's text; the last chunk of a stream carries `ending`.
package struct TextChunk: Hashable, Sendable {
  /// How an answer ended, and what it took.
  package struct Ending: Hashable, Sendable {
    package var reason: FinishReason
    package var promptTokens: UInt32
    package var completionTokens: UInt32

    package init(reason: FinishReason, promptTokens: UInt32, completionTokens: UInt32) {
      self.reason = reason
      self.promptTokens = promptTokens
      self.completionTokens = completionTokens
    }
  }

  package var text: String
  package var ending: Ending?

  package init(text: String, ending: Ending?) {
    self.text = text
    self.ending = ending
  }
}
