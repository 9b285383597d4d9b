import TestSupport
import Testing
import Tokenizer

@Suite("Streamed detokenising")
struct StreamDetokenizerTests {
  @Test(
    "Any tokens in any portions give the text of all of them", arguments: Fixture.allCases)
  func equalsWhole(_ fixture: Fixture) throws {
    let tokenizer = try fixture.tokenizer()
    var random = SplitMix64(seed: 3)
    let texts = try fixture.golden().cases.map(\.text)
    for round in 0..<2_000 {
      let tokens = Self.tokens(round, tokenizer, texts, &random)
      var stream = StreamDetokenizer(tokenizer: tokenizer)
      var bytes: [UInt8] = []
      var rest = tokens[...]
      while !rest.isEmpty {
        let count = Int.random(in: 0...3, using: &random)
        bytes += Array(stream.append(rest.prefix(count)).utf8)
        rest = rest.dropFirst(count)
      }
      bytes += Array(stream.finish().utf8)
      #expect(bytes == Array(tokenizer.decode(tokens).utf8), "\(tokens)")
    }
  }

  @Test("A character leaves with its last byte, and no sooner")
  func holdsBack() throws {
    let tokenizer = try Fixture.defaultModel.tokenizer()
    let single = try Self.singleBytes(tokenizer)
    var stream = StreamDetokenizer(tokenizer: tokenizer)
    var pieces: [String] = []
    for byte in "é€😀a".utf8 { pieces.append(stream.append([try #require(single[byte])])) }
    #expect(pieces == ["", "é", "", "", "€", "", "", "", "😀", "a"])
    #expect(stream.finish().isEmpty)
  }

  @Test("What can no longer become a character leaves at once as U+FFFD")
  func givesUp() throws {
    let tokenizer = try Fixture.defaultModel.tokenizer()
    let single = try Self.singleBytes(tokenizer)
    var stream = StreamDetokenizer(tokenizer: tokenizer)
    let bytes: [UInt8] = [0xE2, 0x82, 0x41, 0xFF, 0xED, 0xA0, 0xF0, 0x9F]
    let pieces = try bytes.map { stream.append([try #require(single[$0])]) }
    #expect(pieces == ["", "", "\u{FFFD}A", "\u{FFFD}", "", "\u{FFFD}\u{FFFD}", "", ""])
    #expect(stream.finish() == "\u{FFFD}")
    #expect(stream.finish().isEmpty)
  }

  private static func tokens(
    _ round: Int, _ tokenizer: Tokenizer, _ texts: [String], _ random: inout SplitMix64
  ) -> [Int32] {
    if round.isMultiple(of: 2), let text = texts.randomElement(using: &random) {
      return tokenizer.encode(text)
    }
    return (0..<Int.random(in: 0...20, using: &random)).map { _ in
      Int32.random(in: -1...Int32(tokenizer.vocabularySize), using: &random)
    }
  }

  private static func singleBytes(_ tokenizer: Tokenizer) throws -> [UInt8: Int32] {
    var single: [UInt8: Int32] = [:]
    for token in 0..<Int32(tokenizer.vocabularySize) {
      if let bytes = tokenizer.bytes(of: token), bytes.count == 1 { single[bytes[0]] = token }
    }
    #expect(single.count == 256)
    return single
  }
}
