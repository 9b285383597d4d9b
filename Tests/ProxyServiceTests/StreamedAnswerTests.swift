import KVCore
import ProxyService
import TestSupport
import Testing

@Suite("Streaming answers") struct StreamedAnswerTests {
  /// What is left of `text` before the first of `stops`, found without streaming.
  private func cut(_ text: String, at stops: [String]) -> String {
    let starts = stops.compactMap { text.firstRange(of: $0) }
    // The stop that is complete first wins, as it does when text comes byte by byte.
    guard let first = starts.min(by: { $0.upperBound < $1.upperBound }) else { return text }
    return String(text[..<first.lowerBound])
  }

  @Test("cuts at a stop string wherever the text is split", arguments: 0..<200)
  func stops(seed: Int) throws {
    var generator = SplitMix64(seed: UInt64(seed))
    let letters = Array("abé")
    let text = String((0..<30).map { _ in letters[Int.random(in: 0..<3, using: &generator)] })
    let stops = (0..<Int.random(in: 0...2, using: &generator)).map { _ in
      String(
        (0..<Int.random(in: 1...4, using: &generator)).map { _ in
          letters[Int.random(in: 0..<3, using: &generator)]
        })
    }
    var answer = StreamedAnswer(tokenizer: try ByteTokenizer.make(), stops: stops)
    var tokens = ByteTokenizer.tokens(text)[...]
    var streamed = ""
    while !tokens.isEmpty, !answer.isStopped {
      let count = Int.random(in: 1...min(5, tokens.count), using: &generator)
      streamed += answer.append(Array(tokens.prefix(count)))
      tokens = tokens.dropFirst(count)
    }
    streamed += answer.finish()
    #expect(streamed == cut(text, at: stops), "\(text) \(stops)")
  }

  @Test("counts the tokens up to the one that completes the stop string")
  func tokenCount() throws {
    var answer = StreamedAnswer(tokenizer: try ByteTokenizer.make(), stops: ["cd"])
    #expect(answer.append(ByteTokenizer.tokens("abcdef")) == "ab")
    #expect(answer.isStopped)
    #expect(answer.tokenCount == 4)
    #expect(answer.append(ByteTokenizer.tokens("gh")) == "")
    #expect(answer.tokenCount == 4)
    #expect(answer.finish() == "")
  }

  @Test("holds back half a character and half a stop string, and gives them out at the end")
  func heldBack() throws {
    var answer = StreamedAnswer(tokenizer: try ByteTokenizer.make(), stops: ["xyz"])
    #expect(answer.append(ByteTokenizer.tokens("axy")) == "a")
    #expect(answer.append([0xC3]) == "")
    #expect(answer.finish() == "xy\u{FFFD}")
    #expect(!answer.isStopped)
  }
}
