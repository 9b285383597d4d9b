import Inference
import KVCore
import KVPool
import PrefillService
import TestSupport
import Testing

@Suite("Checksums of a prompt")
struct PromptChecksumsTests {
  @Test(
    "Fed layer by layer, in chunks of any size, they are those of the blocks as they end up",
    arguments: [7, 16, 100, 600, 1_300])
  func layerByLayer(chunk: Int) throws {
    let engine = try CPUEngine(
      directory: try EmbeddedModel.directory(), kvDataType: .bfloat16, threads: 1)
    let geometry = engine.geometry
    let prompt = (0..<1_300).map { TokenID(2 + $0 * 7 % 900) }
    let pool = try KVPool(geometry: geometry, blockCount: 100)
    let blocks = try pool.allocate(blocks: geometry.blockCount(tokens: prompt.count))
      .flatMap(\.blocks)
    // The last block keeps some of what it held before.
    for block in blocks {
      fill(pool.address(of: block), with: 0xD1, bytes: geometry.blockBytes.rawValue)
    }
    let checksums = PromptChecksums(pool: pool, blocks: blocks, tokenCount: prompt.count)
    for start in stride(from: 0, to: prompt.count, by: chunk) {
      let end = min(start + chunk, prompt.count)
      let slice = SequenceSlice(
        tokens: Array(prompt[start..<end]), firstPosition: start,
        blocks: blocks.map { KVBlockAddress(pool.address(of: $0)) }, wantsLogits: false)
      _ = try engine.forward([slice], observer: checksums)
      let final = end == prompt.count ? blocks.count : end / geometry.blockTokens
      #expect(checksums.values == blocks[..<final].map { pool.checksum(of: $0) })
    }
    #expect(Set(checksums.values).count == blocks.count)
  }
}
