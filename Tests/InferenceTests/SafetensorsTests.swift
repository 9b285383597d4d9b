import Foundation
import Inference
import KVCore
import Testing

/// The weights' file comes from anywhere: nothing in it may end the process.
@Suite("Hostile safetensors", .timeLimit(.minutes(1)))
struct SafetensorsTests {
  private static let tensor = "model.norm.weight"

  /// The header's entries and the data after it.
  private func parts(_ file: Data) throws -> (header: [String: Any], data: Data) {
    let length = file.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    let header = try JSONSerialization.jsonObject(with: file[8..<(8 + length)])
    return (try #require(header as? [String: Any]), Data(file[(8 + length)...]))
  }

  private func file(header: Data, data: Data) -> Data {
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> ($0 * 8)) }
    return Data(length) + header + data
  }

  /// Replaces the weights' file of a copy by what `change` makes of it, and loads that.
  private func load(_ change: (Data) throws -> Data) throws -> BatonError? {
    var result: BatonError?
    try Fixture.golden32.withCopy { directory in
      let path = directory.appending(path: "model.safetensors")
      try change(Data(contentsOf: path)).write(to: path)
      do {
        _ = try CPUEngine(directory: directory.path(), kvDataType: .float32, threads: 1)
      } catch let error as BatonError {
        result = error
      }
    }
    return result
  }

  @Test(
    "A file cut short anywhere is refused",
    arguments: [0, 1, 7, 8, 9, 200, 3000, 100_000, -1, -4096])
  func truncated(keep: Int) throws {
    let error = try load { $0.prefix(keep >= 0 ? keep : $0.count + keep) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains("model.safetensors") == true)
  }

  @Test(
    "A header's length past the file or past sense is refused",
    arguments: [UInt64.max, 1 << 63, 1 << 40, 206_328, 206_321])
  func headerLength(length: UInt64) throws {
    let error = try load { file in
      Data((0..<8).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) }) + file[8...]
    }
    #expect(error?.message.contains("\(length)") == true)
  }

  static let entries: [(String, String)] = [
    (#"{"dtype": "F32", "shape": [40], "data_offsets": [0, 200000000]}"#, "200000000"),
    (#"{"dtype": "F32", "shape": [40], "data_offsets": [160, 0]}"#, "[160, 0]"),
    (#"{"dtype": "F32", "shape": [40], "data_offsets": [-160, 0]}"#, "[-160, 0]"),
    (#"{"dtype": "F32", "shape": [40], "data_offsets": [0]}"#, "[0]"),
    (#"{"dtype": "F32", "shape": [40], "data_offsets": [0, 156]}"#, "[40]"),
    (#"{"dtype": "F32", "shape": [40], "data_offsets": [2, 162]}"#, "aligned"),
    (#"{"dtype": "F32", "shape": [20, 2], "data_offsets": ITS_OWN}"#, "[20, 2]"),
    (#"{"dtype": "F32", "shape": [40, 1], "data_offsets": ITS_OWN}"#, "[40, 1]"),
    (#"{"dtype": "F32", "shape": [4611686018427387904, 4], "data_offsets": [0, 0]}"#, "overflow"),
    (#"{"dtype": "F32", "shape": "40", "data_offsets": [0, 160]}"#, "\"40\""),
    (#"{"dtype": "F16", "shape": [40], "data_offsets": [0, 80]}"#, "\"F16\""),
    (#"{"dtype": 7, "shape": [40], "data_offsets": [0, 80]}"#, "7"),
    (#"{"shape": [40], "data_offsets": [0, 80]}"#, "null"),
    ("[]", "not an object"),
    ("null", "not an object"),
  ]

  @Test("A tensor that does not fit is named with what is wrong", arguments: entries)
  func entry(json: String, mention: String) throws {
    let error = try load { whole in
      var (header, data) = try parts(whole)
      let original = try #require(header[Self.tensor] as? [String: Any])
      let place = try #require(original["data_offsets"] as? [Int])
      header[Self.tensor] = try JSONSerialization.jsonObject(
        with: Data(json.replacing("ITS_OWN", with: "\(place)").utf8), options: .fragmentsAllowed)
      // Padded to eight bytes as the format asks, so that only the entry is at fault.
      var bytes = try JSONSerialization.data(withJSONObject: header)
      bytes += Data(repeating: 0x20, count: (8 - bytes.count % 8) % 8)
      return file(header: bytes, data: data)
    }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains(Self.tensor) == true, "\(String(describing: error))")
    #expect(error?.message.contains(mention) == true, "\(String(describing: error))")
  }

  @Test("Tensors that overlap, and bytes of no tensor, are refused")
  func holes() throws {
    let overlap = try load { whole in
      var (header, data) = try parts(whole)
      var entry = try #require(header[Self.tensor] as? [String: Any])
      entry["data_offsets"] = [0, 160]
      header[Self.tensor] = entry
      var bytes = try JSONSerialization.data(withJSONObject: header)
      bytes += Data(repeating: 0x20, count: (8 - bytes.count % 8) % 8)
      return file(header: bytes, data: data)
    }
    #expect(overlap?.message.contains("must follow each other") == true)
    let trailing = try load { $0 + Data(repeating: 0, count: 8) }
    #expect(trailing?.message.contains("of which tensors have") == true)
  }

  @Test("Headers that are no JSON objects are refused", arguments: ["", "[1]", "{\"a\":", "\u{0}"])
  func header(text: String) throws {
    let error = try load { file(header: Data(text.utf8), data: try parts($0).data) }
    #expect(error?.message.contains("JSON") == true)
  }

  @Test("Tensors that a Llama model has no place for are refused; old frequencies are not")
  func surplus() throws {
    func load(with name: String) throws -> BatonError? {
      try self.load { whole in
        var (header, data) = try parts(whole)
        header[name] = [
          "dtype": "F32", "shape": [40], "data_offsets": [data.count, data.count + 160],
        ]
        data += Data(repeating: 0, count: 160)
        var bytes = try JSONSerialization.data(withJSONObject: header)
        bytes += Data(repeating: 0x20, count: (8 - bytes.count % 8) % 8)
        return file(header: bytes, data: data)
      }
    }
    let bias = "model.layers.0.self_attn.q_proj.bias"
    #expect(try load(with: bias)?.message.contains(bias) == true)
    #expect(try load(with: "model.layers.0.self_attn.rotary_emb.inv_freq") == nil)
    #expect(try load(with: "lm_head.weight") == nil)
  }

  @Test("Random damage to the header loads or is refused, and never ends the process")
  func damage() throws {
    for seed in 0..<200 {
      _ = try load { file in
        var file = file
        let place = Int(Philox.uniform(seed: UInt64(seed), position: 0) * 2_500)
        file[place] = UInt8(Philox.uniform(seed: UInt64(seed), position: 1) * 256)
        return file
      }
    }
  }
}
