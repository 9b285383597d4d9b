import Foundation
import Inference
import KVCore
import Testing

@Suite("The CPU engine", .timeLimit(.minutes(1)))
struct EngineTests {
  @Test("Wrong slices are refused with what is wrong, and nothing is written")
  func wrongSlices() throws {
    let engine = try Fixture.golden32.engine()
    let memory = engine.memory()
    let table = memory.table
    let good = SequenceSlice(tokens: [1], firstPosition: 0, blocks: table, wantsLogits: true)
    let wrong: [(SequenceSlice, String)] = [
      (SequenceSlice(tokens: [], firstPosition: 0, blocks: table, wantsLogits: true), "no tokens"),
      (
        SequenceSlice(tokens: [3, 256], firstPosition: 0, blocks: table, wantsLogits: true),
        "token 256"
      ),
      (
        SequenceSlice(tokens: [-1], firstPosition: 0, blocks: table, wantsLogits: true), "token -1"
      ),
      (
        SequenceSlice(tokens: [1], firstPosition: 512, blocks: table, wantsLogits: true),
        "context of 512"
      ),
      (
        SequenceSlice(tokens: [1], firstPosition: -1, blocks: table, wantsLogits: true),
        "position -1"
      ),
      (
        SequenceSlice(tokens: [1], firstPosition: .max, blocks: table, wantsLogits: true),
        "context of 512"
      ),
      (
        SequenceSlice(
          tokens: [1, 2], firstPosition: 15, blocks: Array(table[..<1]), wantsLogits: true),
        "1 blocks; 2"
      ),
      (
        SequenceSlice(
          tokens: [1], firstPosition: 0, blocks: [KVBlockAddress(0)], wantsLogits: true),
        "address"
      ),
      (
        SequenceSlice(
          tokens: [1], firstPosition: 0, blocks: [KVBlockAddress(table[0].rawValue + 2)],
          wantsLogits: true), "multiple of 4"
      ),
    ]
    for (slice, mention) in wrong {
      let error = #expect(throws: BatonError.self) {
        _ = try engine.forward([good, slice], in: [memory])
      }
      #expect(error?.code == .invalidArgument)
      #expect(error?.message.contains("slice 1") == true)
      #expect(error?.message.contains(mention) == true, "\(String(describing: error))")
    }
    #expect(memory.isUntouched)
  }

  @Test("Slices that want no logits get none, and no slices are no work")
  func logitsOnlyWhereWanted() throws {
    let engine = try Fixture.golden32.engine()
    let memory = engine.memory()
    let slice = SequenceSlice(
      tokens: [1, 2, 3], firstPosition: 0, blocks: memory.table, wantsLogits: false)
    #expect(try engine.forward([slice], in: [memory]).isEmpty)
    #expect(!memory.isUntouched)
    #expect(try engine.forward([]).isEmpty)
  }

  @Test("The last position of the context can be computed")
  func fullContext() throws {
    let engine = try Fixture.golden32.engine()
    let logits = try engine.logits(
      after: tokens(512, seed: 3), chunk: 512, in: engine.memory())
    #expect(logits.count == 256)
    #expect(logits.allSatisfy { $0.isFinite })
  }

  @Test("The description and the geometry are those of the model's files")
  func description() throws {
    let engine = try Fixture.golden32.engine(.bfloat16, blockTokens: 32)
    let model = engine.model
    #expect(model.name == "golden-f32")
    #expect(model.contextTokens == 512)
    #expect(model.vocabularySize == 256)
    #expect(model.endTokens == [1])
    #expect(model.fingerprint.count == 32)
    #expect(Set(model.assets.keys) == ["tokenizer.json"])
    let tokenizer = try Data(
      contentsOf: Fixture.golden32.url.appending(path: "tokenizer.json"))
    #expect(model.assets["tokenizer.json"] == [UInt8](tokenizer))
    let group = CacheGroup(layers: 3, keyValueHeads: 2, headDimension: 10, dataType: .bfloat16)
    #expect(engine.geometry == KVGeometry(blockTokens: 32, groups: [group]))
    #expect(engine.canBorrow)
  }

  @Test("The fingerprint follows every file that has a part in the answer, to the last byte")
  func fingerprint() throws {
    let original = try Fixture.golden32.engine().model.fingerprint
    #expect(original == (try Fixture.golden32.engine(.bfloat16, threads: 2).model.fingerprint))
    #expect(original != (try Fixture.golden16.engine().model.fingerprint))
    for (file, place) in [
      ("config.json", -1), ("tokenizer.json", -1), ("generation_config.json", -1),
      ("model.safetensors", -1), ("model.safetensors", -100_000),
    ] {
      try Fixture.golden32.withCopy { directory in
        let path = directory.appending(path: file)
        var data = try Data(contentsOf: path)
        if file.hasSuffix(".json") {
          data.append(0x20)
        } else {
          data[data.count + place] ^= 1
        }
        try data.write(to: path)
        let engine = try CPUEngine(directory: directory.path(), kvDataType: .float32, threads: 1)
        #expect(engine.model.fingerprint != original, "\(file)")
      }
    }
  }

  @Test("End tokens may be a list, and come from config.json where generation_config.json has none")
  func endTokens() throws {
    try Fixture.golden32.withCopy { directory in
      let generation = directory.appending(path: "generation_config.json")
      func load() throws -> [TokenID] {
        try CPUEngine(directory: directory.path(), kvDataType: .float32, threads: 1)
          .model.endTokens
      }
      try Data(#"{"eos_token_id": [7, 9]}"#.utf8).write(to: generation)
      #expect(try load() == [7, 9])
      try Data("{}".utf8).write(to: generation)
      #expect(try load() == [1])
      try FileManager.default.removeItem(at: generation)
      #expect(try load() == [1])
      let config = directory.appending(path: "config.json")
      let text = try String(contentsOf: config, encoding: .utf8)
      // LlamaConfig's default where the field is absent, none where it is null.
      for (name, expected) in [("eos_token_id", [] as [TokenID]), ("other", [2])] {
        try Data(
          text.replacing(/"eos_token_id": *[0-9]+/, with: "\"\(name)\": null").utf8
        ).write(to: config)
        #expect(try load() == expected)
      }
    }
  }

  @Test("The rope base may be where transformers 4 or transformers 5 writes it")
  func ropeBase() throws {
    let prompt = tokens(20, seed: 5)
    let engine = try Fixture.golden32.engine()
    let expected = try engine.logits(after: prompt, chunk: 20, in: engine.memory())
    try Fixture.golden32.withCopy { directory in
      let file = directory.appending(path: "config.json")
      var object = try #require(
        JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
      func logits() throws -> [Float] {
        try JSONSerialization.data(withJSONObject: object).write(to: file)
        let engine = try CPUEngine(directory: directory.path(), kvDataType: .float32, threads: 1)
        return try engine.logits(after: prompt, chunk: 20, in: engine.memory())
      }
      object["rope_parameters"] = nil
      object["rope_scaling"] = NSNull()
      object["rope_theta"] = 5000
      #expect(bits(try logits()) == bits(expected))
      object["rope_theta"] = 5001
      #expect(bits(try logits()) != bits(expected))
    }
  }

  @Test("The embedded model is found beside the executable and can be run")
  func embeddedModel() throws {
    let engine = try CPUEngine(
      directory: EmbeddedModel.directory(), kvDataType: .bfloat16, threads: 2)
    #expect(engine.model.name == "baton-stories")
    #expect(engine.model.contextTokens == 4096)
    let logits = try engine.logits(after: [1, 2, 3], chunk: 2, in: engine.memory())
    #expect(logits.count == engine.model.vocabularySize)
    #expect(logits.allSatisfy { $0.isFinite })
  }
}
