extension Tokenizer {
  /// The merges of a model, in terms of token ids.
  static func encoder(
    _ model: TokenizerFile.Model, _ vocabulary: Vocabulary
  ) throws(TokenizerError) -> BytePairEncoder {
    var encoder = BytePairEncoder()
    encoder.byteTokens = (UInt8(0)...255).map { vocabulary.tokens[[$0]] }
    if let unknown = model.unk_token, encoder.byteTokens.contains(nil) {
      // Without an unknown token, a byte that is not in the vocabulary is left out.
      throw .unsupported("model.unk_token", "\"\(unknown)\" with bytes missing in the vocabulary")
    }
    if model.ignore_merges == true { encoder.wholeWords = vocabulary.tokens }
    switch model.merges {
    case .joined(let lines):
      encoder.merges.reserveCapacity(lines.count)
      for (rank, line) in lines.enumerated() {
        let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        try encoder.add(parts.map(String.init), rank, vocabulary)
      }
    case .pairs(let pairs):
      encoder.merges.reserveCapacity(pairs.count)
      for (rank, pair) in pairs.enumerated() { try encoder.add(pair, rank, vocabulary) }
    }
    return encoder
  }
}

extension BytePairEncoder {
  /// Adds the merge of a rank; of two for the same pair the later one counts, as in the crate.
  fileprivate mutating func add(
    _ parts: [String], _ rank: Int, _ vocabulary: Vocabulary
  ) throws(TokenizerError) {
    let field = "model.merges.\(rank)"
    guard parts.count == 2, let left = ByteLevelAlphabet.bytes(of: parts[0]),
      let right = ByteLevelAlphabet.bytes(of: parts[1])
    else {
      throw TokenizerError(field: field, problem: "\(parts) is not a pair of tokens")
    }
    guard let leftToken = vocabulary.tokens[left], let rightToken = vocabulary.tokens[right],
      let token = vocabulary.tokens[left + right]
    else {
      throw TokenizerError(
        field: field, problem: "\(parts) or what they make together is not in the vocabulary")
    }
    merges[Self.pair(leftToken, rightToken)] = Merge(rank: UInt32(rank), token: token)
  }
}
