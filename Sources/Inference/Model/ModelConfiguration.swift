import KVCore

/// The shape of a `LlamaForCausalLM` checkpoint, from the config.json of Hugging Face transformers.
struct ModelConfiguration: Sendable {
  let hiddenSize: Int
  let intermediateSize: Int
  let layers: Int
  let queryHeads: Int
  let keyValueHeads: Int
  let headDimension: Int
  let vocabularySize: Int
  let contextTokens: Int
  let normEpsilon: Float
  let ropeBase: Double
  /// Whether the embedding is the output projection too.
  let tiesEmbeddings: Bool
  let endTokens: [TokenID]

  var queryWidth: Int { queryHeads * headDimension }
  var keyValueWidth: Int { keyValueHeads * headDimension }
}

extension ModelConfiguration {
  /// Larger than any model of the family; they keep every product of two of them inside `Int`.
  private enum Bounds {
    static let width = 1...(1 << 17)
    static let layers = 1...512
    static let heads = 1...1024
    static let headDimension = 2...1024
    static let vocabulary = 1...(1 << 21)
    static let context = 1...Limits.maximumPromptTokens
  }

  /// Reads config.json and, where there is one, generation_config.json.
  ///
  /// Defaults of absent fields are those of transformers' `LlamaConfig`. Throws `BatonError` with
  /// `invalidArgument` for anything that the engine would not compute as transformers does.
  init(config: FieldReader, generation: FieldReader?) throws(BatonError) {
    try Self.refuseOtherModels(config)
    hiddenSize = try config.integer("hidden_size", in: Bounds.width)
    intermediateSize = try config.integer("intermediate_size", in: Bounds.width)
    layers = try config.integer("num_hidden_layers", in: Bounds.layers)
    queryHeads = try config.integer("num_attention_heads", in: Bounds.heads)
    keyValueHeads = try config.integer(
      "num_key_value_heads", in: Bounds.heads, default: queryHeads)
    guard queryHeads % keyValueHeads == 0 else {
      throw config.refusal(
        "num_key_value_heads", .integer(keyValueHeads),
        allowed: "a divisor of num_attention_heads, \(queryHeads)")
    }
    let dimension = try config.integer(
      "head_dim", in: Bounds.headDimension, default: hiddenSize / queryHeads)
    guard dimension >= 2, dimension % 2 == 0 else {
      throw config.refusal("head_dim", .integer(dimension), allowed: "an even number")
    }
    headDimension = dimension
    vocabularySize = try config.integer("vocab_size", in: Bounds.vocabulary)
    contextTokens = try config.integer(
      "max_position_embeddings", in: Bounds.context, default: 2048)
    normEpsilon = Float(try config.number("rms_norm_eps", in: 0...1, default: 1e-6))
    ropeBase = try Self.ropeBase(config)
    tiesEmbeddings = try config.bool("tie_word_embeddings", default: false)
    endTokens = try Self.endTokens(config, generation, vocabularySize: vocabularySize)
  }

  private static func refuseOtherModels(_ config: FieldReader) throws(BatonError) {
    let architectures = config.value("architectures")
    guard architectures == .array([.string("LlamaForCausalLM")]) else {
      throw config.refusal("architectures", architectures, allowed: "[\"LlamaForCausalLM\"]")
    }
    try config.require("model_type", oneOf: [.string("llama")])
    try config.require("hidden_act", oneOf: [.string("silu")])
    try config.require("attention_bias", oneOf: [.bool(false)])
    try config.require("mlp_bias", oneOf: [.bool(false)])
    try config.require("pretraining_tp", oneOf: [.integer(1)])
    try config.require("quantization_config", oneOf: [])
    try config.require("sliding_window", oneOf: [])
    for name in ["torch_dtype", "dtype"] {
      try config.require(name, oneOf: [.string("float32"), .string("bfloat16")])
    }
  }

  /// transformers 4 writes `rope_theta` and `rope_scaling`, transformers 5 `rope_parameters`.
  private static func ropeBase(_ config: FieldReader) throws(BatonError) -> Double {
    let range = 1.0...1e12
    for name in ["rope_scaling", "rope_parameters"] {
      guard let scaling = try config.object(name) else { continue }
      for kind in ["rope_type", "type"] {
        try scaling.require(kind, oneOf: [.string("default")])
      }
      try scaling.require("partial_rotary_factor", oneOf: [.integer(1), .number(1)])
    }
    try config.require("partial_rotary_factor", oneOf: [.integer(1), .number(1)])
    let outer = try config.number("rope_theta", in: range, default: 10_000)
    guard let parameters = try config.object("rope_parameters") else { return outer }
    return try parameters.number("rope_theta", in: range, default: outer)
  }

  /// generation_config.json wins over config.json; either may name one token or a list.
  private static func endTokens(
    _ config: FieldReader, _ generation: FieldReader?, vocabularySize: Int
  ) throws(BatonError) -> [TokenID] {
    let name = "eos_token_id"
    let reader = generation?.value(name) == nil ? config : generation ?? config
    let found = reader.value(name)
    let values: [JSONValue]
    switch found {
    // null says that there is none; LlamaConfig's default holds where nothing is said.
    case nil: values = config.fields[name] == nil && vocabularySize > 2 ? [.integer(2)] : []
    case .array(let list): values = list
    case .some(let single): values = [single]
    }
    var tokens: [TokenID] = []
    for value in values {
      guard case .integer(let token) = value, (0..<vocabularySize).contains(token) else {
        throw reader.refusal(
          name, found, allowed: "tokens from 0 to \(vocabularySize - 1), one or a list")
      }
      tokens.append(TokenID(token))
    }
    return tokens
  }
}
