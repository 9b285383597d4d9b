/// Text ⇄ tokens of byte-level BPE models, as Hugging Face's crate `tokenizers` does it.
///
/// A value is read once from a `tokenizer.json` and never changes; copies share their tables.
package struct Tokenizer: Sendable {
  /// The raw bytes of each token, indexed by its id; nil for ids that no token has.
  let tokenBytes: [[UInt8]?]
  let specialTokens: Set<Int32>
  /// Added tokens that are looked for in the text as it came.
  let rawAddedTokens: AddedTokens
  /// Added tokens that are looked for in normalised text.
  let normalizedAddedTokens: AddedTokens
  let normalizesToNFC: Bool
  let preTokenizer: PreTokenizer
  let encoder: BytePairEncoder
  let template: SequenceTemplate

  /// The highest token id + 1. Not every id below it need be in use.
  package var vocabularySize: Int { tokenBytes.count }

  /// The tokens of a text.
  ///
  /// Added tokens that are written out in the text, special ones too, become those tokens.
  /// - Parameter addSpecialTokens: whether to put the tokens of the post-processor's template
  ///   before and behind, such as the one that begins a sequence.
  package func encode(_ text: String, addSpecialTokens: Bool = true) -> [Int32] {
    var tokens: [Int32] = addSpecialTokens ? template.prefix : []
    for piece in rawAddedTokens.split(text) {
      switch piece {
      case .token(let token): tokens.append(token)
      case .text(let text): encodeNormalized(normalized(text), into: &tokens)
      }
    }
    if addSpecialTokens { tokens += template.suffix }
    return tokens
  }

  /// The text of tokens. Unknown ids give nothing, and each maximal part that is not UTF-8 gives
  /// one U+FFFD, as Rust's `from_utf8_lossy` does it.
  /// - Parameter skipSpecialTokens: whether special tokens give nothing, either.
  package func decode(_ tokens: [Int32], skipSpecialTokens: Bool = true) -> String {
    var bytes: [UInt8] = []
    for token in tokens where !(skipSpecialTokens && isSpecial(token)) {
      if let part = self.bytes(of: token) { bytes += part }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The raw bytes that a token stands for, special tokens included; nil for an unknown id.
  /// They need not be whole characters.
  package func bytes(of token: Int32) -> [UInt8]? {
    guard token >= 0, Int(token) < tokenBytes.count else { return nil }
    return tokenBytes[Int(token)]
  }

  /// Whether a token marks structure (beginning, end, roles) and is no text of its own.
  package func isSpecial(_ token: Int32) -> Bool { specialTokens.contains(token) }

  private func encodeNormalized(_ text: String, into tokens: inout [Int32]) {
    for piece in normalizedAddedTokens.split(text) {
      switch piece {
      case .token(let token):
        tokens.append(token)
      case .text(let text):
        for word in preTokenizer.words(of: text) { encoder.encode(word, into: &tokens) }
      }
    }
  }
}
