import Benchmarks
import Foundation
import KVCore
import Testing

@Suite("Benchmark geometries")
struct BenchmarkGeometryTests {
  @Test("Llama 3 8B takes 128 KiB a token and 2 MiB a block")
  func llama() throws {
    let geometry = try BenchmarkGeometry("llama-8b").value
    #expect(geometry.bytesPerToken == .kibibytes(128))
    #expect(geometry.blockBytes == .mebibytes(2))
    #expect(try BenchmarkGeometry("32,8,128,bf16") == BenchmarkGeometry("llama-8b"))
  }

  @Test("The embedded geometry is that of the model in the package")
  func embedded() throws {
    struct Configuration: Decodable {
      let num_hidden_layers: Int
      let num_key_value_heads: Int
      let head_dim: Int
      let dtype: String
    }
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../Sources/Inference/Resources/DefaultModel/config.json")
    let model = try JSONDecoder().decode(Configuration.self, from: Data(contentsOf: path))
    let geometry = try BenchmarkGeometry("embedded")
    #expect(geometry.layers == model.num_hidden_layers)
    #expect(geometry.keyValueHeads == model.num_key_value_heads)
    #expect(geometry.headDimension == model.head_dim)
    #expect(geometry.dataType == "bf16" && model.dtype == "bfloat16")
  }

  @Test("A geometry of one's own has layers, KV heads, a head dimension and a data type")
  func custom() throws {
    let geometry = try BenchmarkGeometry("2,4,64,f32").value
    #expect(geometry.bytesPerToken == ByteCount(2 * 2 * 4 * 64 * 4))
    #expect(geometry.blockTokens == 16)
  }

  @Test(
    "What is no geometry is refused, with an example of one",
    arguments: [
      "", "llama", "1,2,64", "1,2,64,bf16,1", "0,2,64,bf16", "513,2,64,bf16", "1,0,64,bf16",
      "1,1025,64,bf16", "1,2,63,bf16", "1,2,1026,bf16", "1,2,64,f16", "a,2,64,bf16", "1,,64,bf16",
      "-1,2,64,bf16",
    ])
  func refused(text: String) {
    let error = #expect(throws: BatonError.self) { try BenchmarkGeometry(text) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains("\"\(text)\"") == true)
    #expect(error?.message.contains("32,8,128,bf16") == true)
  }
}
