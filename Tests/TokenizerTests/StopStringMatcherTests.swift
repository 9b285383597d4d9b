import TestSupport
import Testing
import Tokenizer

@Suite("Stop strings")
struct StopStringMatcherTests {
  @Test("Text in any portions stops where a search of the whole text says")
  func equalsSearch() {
    var random = SplitMix64(seed: 9)
    for _ in 0..<20_000 {
      let letters = ["a", "b", "é", "😀"]
      let text = Self.text(letters, 0...24, &random)
      let stops = (0..<Int.random(in: 0...3, using: &random)).map { _ in
        Self.text(letters, 0...5, &random)
      }
      let expected = Self.search(text, stops)
      var matcher = StopStringMatcher(stops: stops)
      var emitted = ""
      var stopped = false
      var rest = text[...]
      while !rest.isEmpty {
        let count = Int.random(in: 0...3, using: &random)
        let result = matcher.append(String(rest.prefix(count)))
        #expect(!stopped || (result.emit.isEmpty && result.stopped))
        emitted += result.emit
        stopped = result.stopped
        rest = rest.dropFirst(count)
      }
      emitted += matcher.finish()
      #expect(emitted == expected.text, "\(text) \(stops)")
      #expect(stopped == expected.stopped, "\(text) \(stops)")
    }
  }

  @Test("Only what may become a stop is held back")
  func holdsBackLittle() {
    var matcher = StopStringMatcher(stops: ["\n\n", "User:"])
    #expect(matcher.append("Hello").emit == "Hello")
    #expect(matcher.append(" there\n").emit == " there")
    #expect(matcher.append("Us").emit == "\n")
    #expect(matcher.append("e it. U").emit == "Use it. ")
    let result = matcher.append("ser: more")
    #expect(result.emit.isEmpty && result.stopped)
    #expect(matcher.append("more") == ("", true))
    #expect(matcher.finish().isEmpty)
  }

  @Test("Text that is held back leaves when the stream ends")
  func finishes() {
    var matcher = StopStringMatcher(stops: ["END"])
    #expect(matcher.append("the EN").emit == "the ")
    #expect(matcher.finish() == "EN")
    #expect(matcher.finish().isEmpty)
  }

  @Test("Without stops, or with empty ones only, everything leaves at once")
  func passes() {
    for stops in [[], [""]] {
      var matcher = StopStringMatcher(stops: stops)
      #expect(matcher.append("text") == ("text", false))
      #expect(matcher.finish().isEmpty)
    }
  }

  @Test("A stop of ten thousand bytes, drip-fed, does not take quadratic time")
  func isLinear() {
    let stop = String(repeating: "a", count: 10_000) + "b"
    var matcher = StopStringMatcher(stops: [stop])
    var emitted = 0
    for _ in 0..<100_000 { emitted += matcher.append("a").emit.utf8.count }
    #expect(emitted == 90_000)
    #expect(matcher.append("b") == ("", true))
  }

  private static func text(
    _ letters: [String], _ counts: ClosedRange<Int>, _ random: inout SplitMix64
  ) -> String {
    (0..<Int.random(in: counts, using: &random))
      .map { _ in letters[Int.random(in: 0..<letters.count, using: &random)] }.joined()
  }

  /// The stop that ends first, and of those the longest.
  private static func search(_ text: String, _ stops: [String]) -> (text: String, stopped: Bool) {
    let characters = Array(text)
    for end in 0...characters.count {
      let head = String(characters[..<end])
      let found = stops.filter { !$0.isEmpty && head.hasSuffix($0) }.map(\.count).max()
      if let found { return (String(characters[..<(end - found)]), true) }
    }
    return (text, false)
  }
}
