import FoundationEssentials

extension Tokenizer {
  /// Reads the bytes of a Hugging Face `tokenizer.json`.
  /// - Throws: `TokenizerError`, naming the field and its value, for a file that is malformed,
  ///   too large, or asks for something that is not supported here.
  package init(json: [UInt8]) throws(TokenizerError) {
    let file = try Self.parse(json)
    try Self.checkModel(file.model)
    try Self.checkDecoder(file.decoder)
    let vocabulary = try Vocabulary(file)
    tokenBytes = vocabulary.tokenBytes
    encoder = try Self.encoder(file.model, vocabulary)
    normalizesToNFC = try Self.normalizesToNFC(file.normalizer)
    preTokenizer = PreTokenizer(steps: try Self.steps(file.pre_tokenizer))
    template = try SequenceTemplate(file.post_processor)

    var special: Set<Int32> = []
    var raw = AddedTokens()
    var normalized = AddedTokens()
    for added in file.added_tokens ?? [] {
      let token = try Self.checkedToken(added.id, "added_tokens")
      if added.special == true { special.insert(token) }
      if added.normalized ?? !(added.special == true) {
        normalized.insert(added.content, token: token)
      } else {
        raw.insert(added.content, token: token)
      }
    }
    specialTokens = special
    rawAddedTokens = raw
    normalizedAddedTokens = normalized
  }

  /// An id as a token, if it is within bounds.
  static func checkedToken(_ id: Int, _ field: String) throws(TokenizerError) -> Int32 {
    guard id >= 0, id < TokenizerLimits.maximumVocabularySize else {
      let range = "0..<\(TokenizerLimits.maximumVocabularySize)"
      throw TokenizerError(field: field, problem: "the id \(id) is not in \(range)")
    }
    return Int32(id)
  }

  private static func parse(_ json: [UInt8]) throws(TokenizerError) -> TokenizerFile {
    guard json.count <= TokenizerLimits.maximumFileBytes else {
      let limit = TokenizerLimits.maximumFileBytes
      throw TokenizerError(
        field: "file", problem: "has \(json.count) bytes; the most allowed is \(limit)")
    }
    do {
      return try JSONDecoder().decode(TokenizerFile.self, from: Data(json))
    } catch let error as DecodingError {
      throw TokenizerError(error)
    } catch {
      throw TokenizerError(field: "file", problem: "\(error)")
    }
  }

  private static func checkModel(_ model: TokenizerFile.Model) throws(TokenizerError) {
    // Files from before the field was introduced hold BPE if they have merges at all.
    if let type = model.type, type != "BPE" { throw .unsupported("model.type", type) }
    if let dropout = model.dropout, dropout != 0 {
      throw .unsupported("model.dropout", "\(dropout)")
    }
    if model.byte_fallback == true { throw .unsupported("model.byte_fallback", "true") }
    let affixes = [
      ("model.continuing_subword_prefix", model.continuing_subword_prefix),
      ("model.end_of_word_suffix", model.end_of_word_suffix),
    ]
    for (field, value) in affixes {
      if let value, !value.isEmpty { throw .unsupported(field, "\"\(value)\"") }
    }
  }

  private static func checkDecoder(
    _ decoder: TokenizerFile.Component?
  ) throws(TokenizerError) {
    guard let decoder else { throw .unsupported("decoder", "null") }
    if decoder.type == "Sequence", let inner = decoder.decoders, inner.count == 1,
      inner[0].type == "ByteLevel"
    {
      return
    }
    guard decoder.type == "ByteLevel" else { throw .unsupported("decoder.type", decoder.type) }
  }

  private static func normalizesToNFC(
    _ normalizer: TokenizerFile.Component?
  ) throws(TokenizerError) -> Bool {
    guard let normalizer else { return false }
    if normalizer.type == "NFC" { return true }
    if normalizer.type == "Sequence" {
      let inner = normalizer.normalizers ?? []
      for component in inner where component.type != "NFC" {
        throw .unsupported("normalizer.normalizers", component.type)
      }
      return !inner.isEmpty
    }
    throw .unsupported("normalizer.type", normalizer.type)
  }
}

extension TokenizerError {
  /// The path and the reason of what `JSONDecoder` did not like.
  fileprivate init(_ error: DecodingError) {
    let context: DecodingError.Context? =
      switch error {
      case .typeMismatch(_, let context), .valueNotFound(_, let context),
        .keyNotFound(_, let context), .dataCorrupted(let context):
        context
      @unknown default: nil
      }
    var path = (context?.codingPath ?? []).map(\.stringValue)
    if case .keyNotFound(let key, _) = error { path.append(key.stringValue) }
    self.init(
      field: path.isEmpty ? "file" : path.joined(separator: "."),
      problem: context?.debugDescription ?? "cannot be read")
  }
}
