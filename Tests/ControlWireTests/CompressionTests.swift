import ControlProtocol
import ControlWire
import KVCore
import TestSupport
import Testing

@Suite("Compressed frames and deadlines")
struct CompressionTests {
  private static func prompt(_ count: Int) -> Message {
    .prefillRequest(
      PrefillRequest(
        request: RequestID("r"), attempt: 0, tokens: (0..<count).map { TokenID($0 % 50) },
        sampling: SamplingParameters(
          temperature: 0, seed: 1, maximumTokens: 1, ignoresEndTokens: false)))
  }

  private static func messages(
    _ bytes: [UInt8], by size: Int = 4_096, limits: FrameLimits = .compressed
  ) throws -> [(FrameHeader, Message)] {
    try FrameTests.decode(bytes, by: size, limits: limits).map { header, payload in
      (header, try MessageCodec.decode(type: header.type, payload: payload.span))
    }
  }

  @Test(
    "what gets shorter is compressed, with a deadline and in several frames too, and comes whole")
  func roundTrip() throws {
    for count in [5_000, 100_000, 1_000_000] {
      let message = Self.prompt(count)
      let plain = try FrameEncoder.encode(
        message, stream: 1, flags: .last, deadlineMilliseconds: 70_000)
      let packed = try FrameEncoder.encode(
        message, stream: 1, flags: .last, deadlineMilliseconds: 70_000, limits: .compressed)
      #expect(packed.payloadBytes == plain.payloadBytes)
      #expect(packed.frames.count * 4 < plain.frames.count, "\(count)")
      for (frames, limits) in [
        (plain.frames, FrameLimits.established), (packed.frames, .compressed),
      ] {
        let received = try Self.messages(frames, limits: limits)
        #expect(received.count == 1)
        #expect(received[0].1 == message)
        #expect(received[0].0.deadlineMilliseconds == 70_000)
        #expect(Int(received[0].0.payloadLength) == plain.payloadBytes)
      }
    }
  }

  @Test("what is short or does not get shorter goes as it is")
  func incompressible() throws {
    var random = RandomMessages(seed: 3)
    let noise = Message.modelAssetChunk(
      ModelAssetChunk(
        name: "n", sha256: random.bytes(32), totalBytes: 9_000, offset: 0,
        data: random.bytes(9_000)))
    for message in [noise, Self.prompt(4_000), .cancel] {
      let packed = try FrameEncoder.encode(message, stream: 1, flags: .last, limits: .compressed)
      let plain = try FrameEncoder.encode(message, stream: 1, flags: .last)
      #expect(packed.frames == plain.frames)
    }
  }

  @Test("a compressed payload that was not negotiated, lies or is a bomb is malformed")
  func hostile() throws {
    let frame = try FrameEncoder.encode(
      Self.prompt(5_000), stream: 1, flags: .last, limits: .compressed
    ).frames
    #expect(FrameFlags(rawValue: frame[5]).contains(.compressed))
    let zstd = Array(frame[FrameHeader.byteCount...])
    func wrapped(_ payload: [UInt8]) throws -> [UInt8] {
      try FrameTests.frame([.last, .compressed], type: 48, payload: payload)
    }
    // The header of a zstd frame (RFC 8878, 3.1.1) with a content size of eight bytes.
    func declaring(_ size: UInt64) -> [UInt8] {
      [0x28, 0xB5, 0x2F, 0xFD, 0b1110_0000] + (0..<8).map { UInt8(size >> (8 * $0) & 0xFF) }
        // One last block of type RLE.
        + [0x03, 0x00, 0x08, 0x41]
    }
    let skippable: [UInt8] = [0x50, 0x2A, 0x4D, 0x18, 2, 0, 0, 0, 1, 2]
    // Version 0.7 of the format: one raw block that says "hello".
    let legacy: [UInt8] =
      [0x27, 0xB5, 0x2F, 0xFD, 0x20, 5, 0x40, 0, 5] + Array("hello".utf8) + [0xC0, 0, 0]
    let unsized: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 0x58, 0x01, 0x00, 0x00]
    let cases: [([UInt8], String)] = [
      (Array(repeating: 7, count: 40), "not one zstd frame"),
      (zstd + zstd, "not one zstd frame"), (zstd + [0], "not one zstd frame"),
      (Array(zstd.dropLast()), "not one zstd frame"), ([], "not one zstd frame"),
      (skippable, "not one zstd frame"), (legacy, "not one zstd frame"),
      (unsized, "does not declare"),
      (declaring(UInt64(Limits.maximumFramePayloadBytes) + 1), "allowed"),
      (declaring(1 << 62), "allowed"), (declaring(.max), "zstd frame"),
      (declaring(100_000), "damaged"), (declaring(10), "damaged"),
    ]
    for (payload, reason) in cases {
      let error = #expect(throws: BatonError.self, "\(reason)") {
        _ = try FrameTests.decode(try wrapped(payload), by: 64, limits: .compressed)
      }
      #expect(error?.code == .malformedFrame)
      #expect(error?.message.contains(reason) == true, "\(String(describing: error))")
    }
    let refused = #expect(throws: BatonError.self) {
      _ = try FrameTests.decode(frame, by: 64)
    }
    #expect(refused?.message.contains("not negotiated") == true)
  }

  @Test("every changed byte of a compressed payload is found, or gives other values at most")
  func damaged() throws {
    let frame = try FrameEncoder.encode(
      Self.prompt(5_000), stream: 1, flags: .last, limits: .compressed
    ).frames
    for index in FrameHeader.byteCount..<frame.count {
      var changed = frame
      changed[index] ^= 0x5A
      do {
        _ = try Self.messages(FrameTests.seal(changed))
      } catch let error as BatonError {
        #expect([.malformedFrame, .invalidArgument].contains(error.code))
      }
    }
  }

  @Test("a deadline that is cut off is malformed, whole or in parts")
  func shortDeadline() throws {
    let parts =
      try FrameTests.frame([.continues, .deadline], type: 48, payload: [1, 2])
      + FrameTests.frame([.last, .deadline], type: 48, payload: [3])
    for bytes in [try FrameTests.frame([.last, .deadline], type: 48, payload: [1, 2, 3]), parts] {
      let error = #expect(throws: BatonError.self) { _ = try FrameTests.decode(bytes, by: 9) }
      #expect(error?.code == .malformedFrame)
      #expect(error?.message.contains("deadline") == true)
    }
    let mixed =
      try FrameTests.frame([.continues, .deadline], type: 48, payload: [1, 2, 3, 4, 5])
      + FrameTests.frame(.last, type: 48, payload: [3])
    #expect(throws: BatonError.self) { _ = try FrameTests.decode(mixed, by: 9) }
  }
}
