/// The tokens of a file, by id and by bytes, while its tokenizer is built.
struct Vocabulary {
  /// The raw bytes of each token, indexed by its id; nil for ids that no token has.
  private(set) var tokenBytes: [[UInt8]?]
  /// The tokens of `model.vocab` that are written in the byte-level alphabet.
  private(set) var tokens: [[UInt8]: Int32] = [:]

  init(_ file: TokenizerFile) throws(TokenizerError) {
    var highest = -1
    for (entry, id) in file.model.vocab {
      _ = try Tokenizer.checkedToken(id, "model.vocab.\(entry)")
      highest = max(highest, id)
    }
    for added in file.added_tokens ?? [] {
      try Self.check(added)
      highest = max(highest, added.id)
    }
    tokenBytes = Array(repeating: nil, count: highest + 1)
    tokens.reserveCapacity(file.model.vocab.count)
    for (entry, id) in file.model.vocab {
      let bytes = ByteLevelAlphabet.bytes(of: entry)
      if let bytes { tokens[bytes] = Int32(id) }
      tokenBytes[id] = bytes ?? Array(entry.utf8)
    }
    for added in file.added_tokens ?? [] {
      // Added tokens are text as it is, also where a vocabulary holds them, too.
      tokenBytes[added.id] = Array(added.content.utf8)
    }
  }

  private static func check(_ added: TokenizerFile.AddedToken) throws(TokenizerError) {
    let field = "added_tokens.\(added.content)"
    _ = try Tokenizer.checkedToken(added.id, field)
    if added.single_word == true { throw .unsupported("\(field).single_word", "true") }
    if added.lstrip == true { throw .unsupported("\(field).lstrip", "true") }
    if added.rstrip == true { throw .unsupported("\(field).rstrip", "true") }
  }
}
