package import KVCore
package import Tokenizer

/// Turns an answer's tokens into text as they come, and cuts it at a stop string.
package struct StreamedAnswer: Sendable {
  private var detokenizer: StreamDetokenizer
  private var matcher: StopStringMatcher
  /// Tokens taken so far; after a stop, those up to the one that completed the stop string.
  package private(set) var tokenCount = 0
  package private(set) var isStopped = false

  package init(tokenizer: Tokenizer, stops: [String]) {
    detokenizer = StreamDetokenizer(tokenizer: tokenizer)
    matcher = StopStringMatcher(stops: stops)
  }

  /// The text that is certain now. What may be the start of a stop string or of a character of
  /// several bytes is held back. Tokens after a stop are not taken.
  package mutating func append(_ tokens: [TokenID]) -> String {
    var text = ""
    for token in tokens where !isStopped {
      tokenCount += 1
      let (emit, stopped) = matcher.append(detokenizer.append(CollectionOfOne(token)))
      text += emit
      isStopped = stopped
    }
    return text
  }

  /// The text that was held back when the answer ends; empty after a stop.
  package mutating func finish() -> String {
    guard !isStopped else { return "" }
    let (emit, stopped) = matcher.append(detokenizer.finish())
    isStopped = stopped
    return stopped ? emit : emit + matcher.finish()
  }
}
