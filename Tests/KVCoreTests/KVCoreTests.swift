import KVCore
import Testing

@Suite("KVCore")
struct KVCoreTests {
  @Test("Engine ids take the documented characters and refuse everything else")
  func engineNames() throws {
    #expect(try EngineID("prefill-0.a_B").name == "prefill-0.a_B")
    for wrong in ["", "a b", "é", String(repeating: "x", count: 65), "a/b"] {
      #expect(throws: BatonError.self) { try EngineID(wrong) }
    }
  }

  @Test("A block holds K and V of every layer, and a partly filled block counts as one")
  func geometry() {
    let geometry = KVGeometry(
      blockTokens: 16,
      groups: [CacheGroup(layers: 6, keyValueHeads: 2, headDimension: 32, dataType: .bfloat16)])
    #expect(geometry.bytesPerToken == ByteCount(6 * 2 * 2 * 32 * 2))
    #expect(geometry.blockBytes == ByteCount(6 * 2 * 2 * 32 * 2 * 16))
    #expect([0, 1, 16, 17].map(geometry.blockCount(tokens:)) == [0, 1, 1, 2])
  }

  @Test("The limits fit each other")
  func limits() {
    #expect(Limits.maximumHandshakePayloadBytes < Limits.maximumFramePayloadBytes)
    #expect(Limits.maximumFramePayloadBytes < Limits.maximumMessageBytes)
    #expect(Limits.leaseRenewalMilliseconds * 2 < Limits.leaseMilliseconds)
    // A prompt at its maximum, five bytes a token, is one message.
    #expect(Limits.maximumPromptTokens * 5 < Limits.maximumMessageBytes)
    // A stamp and a checksum for each block, eight bytes each, in two pieces.
    #expect(Limits.maximumProgressBlocks * 16 + 1_024 < Limits.maximumMessageBytes)
  }

  @Test("Byte counts read as people write them")
  func byteCounts() {
    #expect("\(ByteCount(512))" == "512 B")
    #expect("\(ByteCount(24 << 10))" == "24 KiB")
    #expect("\(ByteCount(3 << 29))" == "1.5 GiB")
  }
}
