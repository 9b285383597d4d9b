package import KVCore

/// A KV geometry as the command line names it.
package struct BenchmarkGeometry: Hashable, Sendable, Codable {
  package let layers: Int
  package let keyValueHeads: Int
  package let headDimension: Int
  package let dataType: String
  package let blockTokens: Int

  /// Tokens of one block unless the block's size is given: vLLM's and Baton's default.
  package static let defaultBlockTokens = 16

  /// Llama 3 8B: 32 layers of 8 KV heads of 128, 128 KiB a token.
  package static let llama8B = BenchmarkGeometry(32, 8, 128, .bfloat16)
  /// The model that is built into Baton.
  package static let embedded = BenchmarkGeometry(6, 2, 32, .bfloat16)

  private init(
    _ layers: Int, _ keyValueHeads: Int, _ headDimension: Int, _ dataType: KVDataType,
    blockTokens: Int = defaultBlockTokens
  ) {
    self.layers = layers
    self.keyValueHeads = keyValueHeads
    self.headDimension = headDimension
    self.dataType = dataType.description
    self.blockTokens = blockTokens
  }

  /// `llama-8b`, `embedded`, or layers, KV heads, head dimension and data type: `32,8,128,bf16`.
  ///
  /// Throws `invalidArgument` that says what would be right.
  package init(_ text: String) throws(BatonError) {
    switch text {
    case "llama-8b": self = .llama8B
    case "embedded": self = .embedded
    default:
      let parts = text.split(separator: ",", omittingEmptySubsequences: false)
      let numbers = parts.prefix(3).map { Int($0) ?? 0 }
      // The bounds are those of the models that Baton runs, and keep every product small.
      guard parts.count == 4, (1...512).contains(numbers[0]), (1...1024).contains(numbers[1]),
        (2...1024).contains(numbers[2]), numbers[2] % 2 == 0,
        let type = KVDataType.allCases.first(where: { $0.description == parts[3] })
      else {
        throw BatonError(
          .invalidArgument,
          "geometry \"\(text)\": llama-8b, embedded or LAYERS,HEADS,DIMENSION,TYPE is allowed, "
            + "with 1 to 512 layers, 1 to 1024 KV heads, an even head dimension of 2 to 1024, and "
            + "type f32 or bf16, for example 32,8,128,bf16")
      }
      self.init(numbers[0], numbers[1], numbers[2], type)
    }
  }

  package var value: KVGeometry {
    let type = KVDataType.allCases.first { $0.description == dataType } ?? .bfloat16
    return KVGeometry(
      blockTokens: blockTokens,
      groups: [
        CacheGroup(
          layers: layers, keyValueHeads: keyValueHeads, headDimension: headDimension,
          dataType: type)
      ])
  }

  /// The same geometry cut into blocks of `bytes`.
  ///
  /// Throws `invalidArgument` for a size that is no whole number of tokens or of words.
  func withBlocks(of bytes: Int) throws(BatonError) -> BenchmarkGeometry {
    let perToken = value.bytesPerToken
    guard bytes > 0, bytes % perToken.rawValue == 0, bytes % BenchmarkLimits.wordBytes == 0,
      bytes / perToken.rawValue <= Limits.maximumPromptTokens
    else {
      throw BatonError(
        .invalidArgument,
        "blocks of \(bytes) bytes: a block holds whole tokens, so a multiple of "
          + "\(perToken.rawValue) bytes, the size of one token of \(value.groups[0]), is needed")
    }
    return BenchmarkGeometry(
      layers, keyValueHeads, headDimension, value.groups[0].dataType,
      blockTokens: bytes / perToken.rawValue)
  }
}
