import Benchmarks
import Foundation
import Testing

@Suite("Metadata benchmark")
struct MetadataBenchmarkTests {
  @Test("it measures each kind and placement, packed is shorter than JSON and zstd no longer")
  func run() throws {
    let result = try MetadataBenchmark.run(tokens: [1 << 10, 2 << 10])
    let cases = Set(result.figures.map { "\($0.kind) \($0.placement) \($0.tokens)" })
    #expect(cases.count == 18 && result.figures.count == 18)
    for each in result.figures {
      #expect(each.packed.bytes < each.json.bytes / (each.kind == "ticket" ? 1 : 2))
      #expect(each.compressed.bytes <= each.packed.bytes)
    }
    let lines = result.json.split(separator: "\n")
    #expect(lines.count == 18)
    for line in lines {
      let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      #expect(object?["tokens"] is Int && object?["zstd"] is [String: Any])
    }
    #expect(result.table.split(separator: "\n").count == 19)
  }
}
