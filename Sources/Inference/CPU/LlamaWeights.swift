import CKernels
import KVCore

/// The weights of a Llama model by their role, under the names that transformers stores them.
struct LlamaWeights: Sendable {
  struct Layer: Sendable {
    let inputNorm: FloatBuffer
    let query: StoredMatrix
    let key: StoredMatrix
    let value: StoredMatrix
    let attentionOutput: StoredMatrix
    let feedForwardNorm: FloatBuffer
    let gate: StoredMatrix
    let up: StoredMatrix
    let down: StoredMatrix
  }

  let embedding: StoredMatrix
  let layers: [Layer]
  let finalNorm: FloatBuffer
  let output: StoredMatrix

  /// Takes every tensor that `configuration` asks for out of `checkpoint`.
  ///
  /// Throws `BatonError` with `invalidArgument` for a tensor that is missing, has another shape, or
  /// has no place in such a model.
  init(_ configuration: ModelConfiguration, from checkpoint: Checkpoint) throws(BatonError) {
    var checkpoint = checkpoint
    let hidden = configuration.hiddenSize
    let vocabulary = configuration.vocabularySize
    embedding = StoredMatrix(
      tensor: try checkpoint.take("model.embed_tokens.weight", shape: [vocabulary, hidden]))
    var layers: [Layer] = []
    for index in 0..<configuration.layers {
      layers.append(try Self.layer(index, configuration, &checkpoint))
    }
    self.layers = layers
    finalNorm = try Self.vector("model.norm.weight", hidden, &checkpoint)
    output =
      configuration.tiesEmbeddings
      ? embedding
      : StoredMatrix(tensor: try checkpoint.take("lm_head.weight", shape: [vocabulary, hidden]))
    try checkpoint.requireNothingLeft(tiesEmbeddings: configuration.tiesEmbeddings)
  }

  private static func layer(
    _ index: Int, _ configuration: ModelConfiguration, _ checkpoint: inout Checkpoint
  ) throws(BatonError) -> Layer {
    let hidden = configuration.hiddenSize
    let queries = configuration.queryWidth
    let keys = configuration.keyValueWidth
    let inner = configuration.intermediateSize
    let prefix = "model.layers.\(index)."
    func matrix(_ name: String, _ rows: Int, _ depth: Int) throws(BatonError) -> StoredMatrix {
      StoredMatrix(
        tensor: try checkpoint.take("\(prefix)\(name).weight", shape: [rows, depth]))
    }
    return Layer(
      inputNorm: try vector("\(prefix)input_layernorm.weight", hidden, &checkpoint),
      query: try matrix("self_attn.q_proj", queries, hidden),
      key: try matrix("self_attn.k_proj", keys, hidden),
      value: try matrix("self_attn.v_proj", keys, hidden),
      attentionOutput: try matrix("self_attn.o_proj", hidden, queries),
      feedForwardNorm: try vector(
        "\(prefix)post_attention_layernorm.weight", hidden, &checkpoint),
      gate: try matrix("mlp.gate_proj", inner, hidden),
      up: try matrix("mlp.up_proj", inner, hidden),
      down: try matrix("mlp.down_proj", hidden, inner))
  }

  private static func vector(
    _ name: String, _ count: Int, _ checkpoint: inout Checkpoint
  ) throws(BatonError) -> FloatBuffer {
    let tensor = try checkpoint.take(name, shape: [count])
    let floats = FloatBuffer(count: count)
    unsafe ck_widen(tensor.address, tensor.dataType, count, floats.start)
    return floats
  }
}
