import Foundation
import TestSupport
import Testing
import Tokenizer

@Suite("What is refused")
struct RefusalTests {
  /// A change to a good file, and what the error must name.
  struct Refusal: Sendable, CustomTestStringConvertible {
    let find: String
    let replace: String
    let field: String
    let value: String

    init(_ find: String, _ replace: String, _ field: String, _ value: String) {
      self.find = find
      self.replace = replace
      self.field = field
      self.value = value
    }

    var testDescription: String { "\(field): \(value)" }
  }

  static let refusals: [Refusal] = [
    Refusal(#""type":"BPE""#, #""type":"Unigram""#, "model.type", "Unigram"),
    Refusal(#""dropout":null"#, #""dropout":0.5"#, "model.dropout", "0.5"),
    Refusal(
      #""byte_fallback":false"#, #""byte_fallback":true"#, "model.byte_fallback", "true"),
    Refusal(
      #""end_of_word_suffix":null"#, #""end_of_word_suffix":"</w>""#,
      "model.end_of_word_suffix", "</w>"),
    Refusal(
      #""continuing_subword_prefix":null"#, #""continuing_subword_prefix":"@@""#,
      "model.continuing_subword_prefix", "@@"),
    Refusal(
      #""normalizer":null"#, #""normalizer":{"type":"NFKC"}"#, "normalizer.type", "NFKC"),
    Refusal(
      #""decoder":{"type":"ByteLevel""#, #""decoder":{"type":"Metaspace""#, "decoder.type",
      "Metaspace"),
    Refusal(
      #""pre_tokenizer":{"type":"ByteLevel""#, #""pre_tokenizer":{"type":"Whitespace""#,
      "pre_tokenizer", "ByteLevel"),
    Refusal(
      #""post_processor":{"type":"ByteLevel""#, #""post_processor":{"type":"BertProcessing""#,
      "post_processor.type", "BertProcessing"),
    Refusal(#""lstrip":false"#, #""lstrip":true"#, "lstrip", "true"),
    Refusal(#""rstrip":false"#, #""rstrip":true"#, "rstrip", "true"),
    Refusal(#""single_word":false"#, #""single_word":true"#, "single_word", "true"),
    Refusal(#""merges":["#, #""merges":["a b c","#, "model.merges.0", "a"),
    Refusal(#""merges":["#, #""merges":["zz qqq","#, "model.merges.0", "qqq"),
    Refusal(#""vocab":{"#, #""vocab":{"huge":99999999,"#, "model.vocab.huge", "99999999"),
    Refusal(#""vocab":{"#, #""vocab":{"minus":-1,"#, "model.vocab.minus", "-1"),
    Refusal(#""vocab":{"#, #""vocab":{"text":"x","#, "model.vocab", "Int"),
    Refusal(#""vocab":"#, #""words":"#, "model.vocab", "vocab"),
  ]

  @Test("A feature that is not supported is refused by its name and value", arguments: refusals)
  func names(_ refusal: Refusal) throws {
    let good = String(decoding: try Fixture.gpt2.json(), as: UTF8.self)
    let range = try #require(good.range(of: refusal.find))
    let bad = good.replacingCharacters(in: range, with: refusal.replace)
    let error = try #require(throws: TokenizerError.self) {
      try Tokenizer(json: Array(bad.utf8))
    }
    #expect(error.field.contains(refusal.field), "\(error)")
    #expect(error.description.contains(refusal.value), "\(error)")
  }

  @Test("An unknown pattern is refused with its text")
  func namesPatterns() throws {
    let good = String(decoding: try Fixture.qwen2.json(), as: UTF8.self)
    let bad = good.replacingOccurrences(of: #"\\p{N}|"#, with: #"\\p{Nd}|"#)
    let error = try #require(throws: TokenizerError.self) {
      try Tokenizer(json: Array(bad.utf8))
    }
    #expect(error.field == "pre_tokenizer.pretokenizers.pattern")
    #expect(error.problem.contains(#"\p{Nd}|"#))
  }

  @Test("A split that would drop the words is refused")
  func namesBehaviour() throws {
    let good = String(decoding: try Fixture.qwen2.json(), as: UTF8.self)
    let bad = good.replacingOccurrences(of: #""invert":true"#, with: #""invert":false"#)
    let error = try #require(throws: TokenizerError.self) {
      try Tokenizer(json: Array(bad.utf8))
    }
    #expect(error.field == "pre_tokenizer.pretokenizers.behavior")
    #expect(error.problem.contains("Removed"))
  }

  @Test("A file cut anywhere is refused without a crash")
  func refusesTruncation() throws {
    let good = try Fixture.digits.json()
    for count in stride(from: 0, to: good.count - 2, by: 97) {
      #expect(throws: TokenizerError.self) { try Tokenizer(json: Array(good[..<count])) }
    }
  }

  @Test("A damaged file is refused or read, and never crashes")
  func survivesDamage() throws {
    let good = try Fixture.digits.json()
    var random = SplitMix64(seed: 5)
    for _ in 0..<200 {
      var bad = good
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let index = Int.random(in: 0..<bad.count, using: &random)
        bad[index] = UInt8.random(in: 0x20...0x7E, using: &random)
      }
      guard let tokenizer = try? Tokenizer(json: bad) else { continue }
      #expect(tokenizer.vocabularySize <= TokenizerLimits.maximumVocabularySize)
      _ = tokenizer.decode(tokenizer.encode("The quick brown fox, 123 <|end|>"))
    }
  }
}
