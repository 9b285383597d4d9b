import TestSupport
import Testing
import Tokenizer

/// Comparisons are of bytes: `==` on strings takes canonically equivalent ones as equal.
@Suite("Against Hugging Face")
struct GoldenTests {
  @Test("Text is encoded as Hugging Face encodes it", arguments: Fixture.allCases)
  func encodes(_ fixture: Fixture) throws {
    let tokenizer = try fixture.tokenizer()
    for example in try fixture.golden().cases {
      let text = example.text
      #expect(tokenizer.encode(text) == example.ids, "\(text.debugDescription)")
      #expect(
        tokenizer.encode(text, addSpecialTokens: false) == example.plain,
        "\(text.debugDescription)")
    }
  }

  @Test("Tokens are decoded as Hugging Face decodes them", arguments: Fixture.allCases)
  func decodes(_ fixture: Fixture) throws {
    let tokenizer = try fixture.tokenizer()
    let golden = try fixture.golden()
    for example in golden.cases {
      let text = tokenizer.decode(example.plain)
      #expect(Array(text.utf8) == Array(example.decoded.utf8))
      let whole = tokenizer.decode(example.plain, skipSpecialTokens: false)
      #expect(Array(whole.utf8) == Array(example.decodedWithSpecial.utf8))
    }
    for example in golden.decodings {
      let text = tokenizer.decode(example.ids)
      #expect(Array(text.utf8) == Array(example.text.utf8), "\(example.ids)")
    }
  }

  @Test(
    "One word of a hundred kilobytes is encoded as by Hugging Face", arguments: Fixture.allCases)
  func encodesLongWords(_ fixture: Fixture) throws {
    let tokenizer = try fixture.tokenizer()
    for example in try fixture.golden().longTexts {
      let text = String(repeating: example.unit, count: example.count)
      let tokens = tokenizer.encode(text, addSpecialTokens: false)
      #expect(tokens.count == example.tokens)
      #expect(Self.fingerprint(tokens) == example.hash, "\(example.unit)")
    }
  }

  @Test("The size of the vocabulary is the highest id and one", arguments: Fixture.allCases)
  func countsVocabulary(_ fixture: Fixture) throws {
    let tokenizer = try fixture.tokenizer()
    let size = try fixture.golden().vocabularySize
    #expect(tokenizer.vocabularySize == size)
    #expect(tokenizer.bytes(of: Int32(size)) == nil)
    #expect(tokenizer.bytes(of: Int32(size - 1)) != nil)
    #expect(tokenizer.bytes(of: -1) == nil)
  }

  @Test("The default model's tokenizer begins a sequence with its special token")
  func knowsSpecialTokens() throws {
    let tokenizer = try Fixture.defaultModel.tokenizer()
    let tokens = tokenizer.encode("Once upon a time<|end|>")
    let (first, last) = (try #require(tokens.first), try #require(tokens.last))
    #expect(tokenizer.bytes(of: first) == Array("<|begin|>".utf8))
    #expect(tokenizer.bytes(of: last) == Array("<|end|>".utf8))
    #expect(tokenizer.isSpecial(first) && tokenizer.isSpecial(last))
    #expect(!tokenizer.isSpecial(tokens[1]))
    #expect(tokenizer.decode(tokens) == "Once upon a time")
  }

  @Test("Every text comes back from its tokens", arguments: [Fixture.defaultModel, .llama3])
  func roundTrips(_ fixture: Fixture) throws {
    let tokenizer = try fixture.tokenizer()
    var random = SplitMix64(seed: 11)
    for _ in 0..<300 {
      let scalars = (0..<Int.random(in: 0...40, using: &random)).compactMap { _ in
        let limit: UInt32 = Bool.random(using: &random) ? 0x250 : 0x11_0000
        return Unicode.Scalar(UInt32.random(in: 0..<limit, using: &random))
      }
      var text = ""
      text.unicodeScalars.append(contentsOf: scalars)
      let decoded = tokenizer.decode(tokenizer.encode(text))
      #expect(Array(decoded.utf8) == Array(text.utf8))
    }
  }

  /// FNV-1a over the ids as 32-bit little-endian numbers, as `make.py` computes it.
  private static func fingerprint(_ tokens: [Int32]) -> String {
    var value: UInt64 = 0xCBF2_9CE4_8422_2325
    for token in tokens {
      for shift in stride(from: 0, to: 32, by: 8) {
        value = (value ^ UInt64((token >> Int32(shift)) & 0xFF)) &* 0x100_0000_01B3
      }
    }
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
