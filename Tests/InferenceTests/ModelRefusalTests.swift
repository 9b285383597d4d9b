import Foundation
import Inference
import KVCore
import Testing

@Suite("What cannot be run is refused at load", .timeLimit(.minutes(1)))
struct ModelRefusalTests {
  /// One change to a file's JSON, and what the message must say besides the file's name.
  struct Change: Sendable, CustomStringConvertible {
    let file: String
    let field: String
    /// JSON; nil takes the field out.
    let value: String?
    let mentions: [String]

    init(_ field: String, _ value: String?, in file: String = "config.json", _ mentions: String...)
    {
      self.file = file
      self.field = field
      self.value = value
      self.mentions = mentions
    }

    var description: String { "\(file): \(field) = \(value ?? "absent")" }
  }

  static let changes: [Change] = [
    Change("architectures", #"["MistralForCausalLM"]"#, "MistralForCausalLM", "LlamaForCausalLM"),
    Change("architectures", nil, "missing", "LlamaForCausalLM"),
    Change("model_type", #""qwen2""#, "qwen2", "llama"),
    Change("hidden_act", #""gelu""#, "gelu", "silu"),
    Change("attention_bias", "true", "true", "false"),
    Change("mlp_bias", "true", "true", "false"),
    Change("pretraining_tp", "2", "2", "1"),
    Change("quantization_config", #"{"bits": 4}"#, "\"bits\": 4", "null"),
    Change("sliding_window", "128", "128", "null"),
    Change("dtype", #""float16""#, "float16", "bfloat16"),
    Change("torch_dtype", #""float64""#, "float64", "float32"),
    Change("hidden_size", "0", "0", "1 to"),
    Change("hidden_size", "41.5", "41.5", "an integer"),
    Change("hidden_size", nil, "missing", "an integer"),
    Change("hidden_size", "9223372036854775807", "9223372036854775807", "1 to"),
    Change("intermediate_size", "-1", "-1", "1 to"),
    Change("num_hidden_layers", "\"3\"", "\"3\"", "an integer"),
    Change("num_attention_heads", "0", "0", "1 to"),
    Change("num_key_value_heads", "3", "3", "a divisor of num_attention_heads, 4"),
    Change("head_dim", "11", "11", "an even number"),
    Change("vocab_size", "true", "true", "an integer"),
    Change("max_position_embeddings", "0", "0", "1 to"),
    Change("rms_norm_eps", "-0.5", "-0.5", "0.0 to 1.0"),
    Change("rope_theta", "0", "0", "1.0 to"),
    Change("rope_scaling", #"{"rope_type": "llama3", "factor": 8}"#, "rope_type", "llama3"),
    Change("rope_scaling", #"{"type": "linear", "factor": 2}"#, "type", "linear"),
    Change("rope_parameters", #"{"rope_type": "yarn"}"#, "rope_type", "yarn", "default"),
    Change("rope_parameters", #"{"rope_theta": "x"}"#, "rope_theta", "\"x\"", "a number"),
    Change("rope_parameters", "7", "7", "an object"),
    Change("partial_rotary_factor", "0.5", "0.5", "1"),
    Change("tie_word_embeddings", "1", "1", "true or false"),
    Change("tie_word_embeddings", "false", "lm_head.weight"),
    Change("eos_token_id", "256", in: "generation_config.json", "256", "0 to 255"),
    Change("eos_token_id", "[1, -1]", in: "generation_config.json", "[1, -1]", "0 to 255"),
    Change("hidden_size", "44", "model.embed_tokens.weight", "[256, 40]", "[256, 44]"),
    Change("num_hidden_layers", "2", "model.layers.2", "not one of"),
    Change("num_hidden_layers", "4", "no tensor model.layers.3"),
  ]

  @Test("A changed field is named with its value and what is allowed", arguments: changes)
  func changedField(change: Change) throws {
    try Fixture.golden32.withCopy { directory in
      let file = directory.appending(path: change.file)
      var object = try #require(
        JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
      object[change.field] = try change.value.map {
        try JSONSerialization.jsonObject(with: Data($0.utf8), options: .fragmentsAllowed)
      }
      try JSONSerialization.data(withJSONObject: object).write(to: file)
      let error = try #require(refusal(of: directory))
      #expect(error.code == .invalidArgument)
      let isAboutTensors = error.message.contains("tensor ")
      #expect(isAboutTensors || error.message.contains(change.field), "\(error)")
      for mention in change.mentions {
        #expect(error.message.contains(mention), "\(error) does not mention \(mention)")
      }
    }
  }

  @Test(
    "A missing or broken file is named",
    arguments: ["config.json", "tokenizer.json", "model.safetensors"])
  func missingFile(name: String) throws {
    try Fixture.golden32.withCopy { directory in
      let file = directory.appending(path: name)
      try FileManager.default.removeItem(at: file)
      let missing = try #require(refusal(of: directory))
      #expect(missing.message.contains(name) && missing.message.contains("No such file"))
      try FileManager.default.createDirectory(at: file, withIntermediateDirectories: false)
      let directoryError = try #require(refusal(of: directory))
      #expect(directoryError.message.contains("not a regular file"))
    }
  }

  @Test("Configuration files that are not JSON objects are refused", arguments: ["", "[]", "{"])
  func brokenConfiguration(text: String) throws {
    for name in ["config.json", "generation_config.json"] {
      try Fixture.golden32.withCopy { directory in
        try Data(text.utf8).write(to: directory.appending(path: name))
        let error = try #require(refusal(of: directory))
        #expect(error.message.contains(name) && error.message.contains("JSON"))
      }
    }
  }

  @Test("Shards that are missing, elsewhere, or lack their tensor are refused")
  func brokenShards() throws {
    let index = "model.safetensors.index.json"
    let tensor = "model.norm.weight"
    for (place, mention) in [
      ("absent.safetensors", "No such file"), ("../x.safetensors", "beside the index"),
      ("", "beside the index"), ("model-00001-of-00003.safetensors", "holds this tensor"),
    ] {
      try Fixture.golden16.withCopy { directory in
        let file = directory.appending(path: index)
        var object = try #require(
          JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
        var map = try #require(object["weight_map"] as? [String: String])
        try #require(map[tensor] != "model-00001-of-00003.safetensors")
        map[tensor] = place
        object["weight_map"] = map
        try JSONSerialization.data(withJSONObject: object).write(to: file)
        let error = try #require(refusal(of: directory))
        #expect(error.message.contains(mention), "\(error)")
      }
    }
  }

  @Test("Threads and block sizes out of range are refused with their value")
  func engineArguments() {
    for threads in [0, -1, 65] {
      let error = #expect(throws: BatonError.self) {
        _ = try Fixture.golden32.engine(threads: threads)
      }
      #expect(error?.message.contains("threads is \(threads)") == true)
    }
    for blockTokens in [0, -3, 4097] {
      let error = #expect(throws: BatonError.self) {
        _ = try Fixture.golden32.engine(blockTokens: blockTokens)
      }
      #expect(error?.message.contains("blockTokens is \(blockTokens)") == true)
    }
  }

  private func refusal(of directory: URL) -> BatonError? {
    do {
      _ = try CPUEngine(directory: directory.path(), kvDataType: .float32, threads: 1)
      return nil
    } catch {
      return error
    }
  }
}
