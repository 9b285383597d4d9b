import Inference
import KVCore
import Testing

@Suite("Following an engine")
struct KVObserverTests {
  private final class Record: KVObserver {
    struct Call: Hashable {
      let layer: Int
      let slice: Int
      let positions: Range<Int>
    }
    var calls: [Call] = []

    func stored(layer: Int, slice: Int, positions: Range<Int>) {
      calls.append(Call(layer: layer, slice: slice, positions: positions))
    }
  }

  @Test("Every layer of every position is told once, layer after layer, long slices in runs")
  func calls() throws {
    let engine = try CPUEngine(
      directory: try EmbeddedModel.directory(), kvDataType: .bfloat16, threads: 1)
    let memories = [engine.memory(), engine.memory()]
    let slices = [(700, 0), (3, 5)].enumerated().map { index, shape in
      SequenceSlice(
        tokens: tokens(shape.0, seed: 1), firstPosition: shape.1, blocks: memories[index].table,
        wantsLogits: false)
    }
    let record = Record()
    _ = try engine.forward(slices, in: memories, observer: record)
    let layers = 0..<engine.geometry.groups[0].layers
    let expected =
      layers.map { Record.Call(layer: $0, slice: 0, positions: 0..<512) }
      + layers.flatMap { layer in
        [
          Record.Call(layer: layer, slice: 0, positions: 512..<700),
          Record.Call(layer: layer, slice: 1, positions: 5..<8),
        ]
      }
    #expect(record.calls == expected)
  }

  @Test("The layers of a block follow each other without a gap")
  func layerBytes() {
    let geometry = KVGeometry(
      blockTokens: 16,
      groups: [
        CacheGroup(layers: 2, keyValueHeads: 2, headDimension: 32, dataType: .bfloat16),
        CacheGroup(layers: 1, keyValueHeads: 1, headDimension: 8, dataType: .float32),
      ])
    #expect(geometry.layerBytes == [0..<4_096, 4_096..<8_192, 8_192..<9_216])
    #expect(geometry.layerBytes.last?.upperBound == geometry.blockBytes.rawValue)
  }
}
