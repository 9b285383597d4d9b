import ControlProtocol
import ControlWire
import KVCore
import TestSupport
import Testing

@Suite("Frames")
struct FrameTests {
  /// Everything that a decoder gives for `bytes` fed in pieces of `size`.
  static func decode(
    _ bytes: [UInt8], by size: Int, limits: FrameLimits = .established
  ) throws(BatonError) -> [(header: FrameHeader, payload: [UInt8])] {
    var decoder = FrameDecoder(limits: limits)
    var messages: [(header: FrameHeader, payload: [UInt8])] = []
    var start = 0
    while start < bytes.count {
      let end = min(start + size, bytes.count)
      decoder.feed(bytes.span.extracting(start..<end))
      start = end
      while let message = try decoder.next({ header, payload in
        (header: header, payload: payload.indices.map { payload[$0] })
      }) {
        messages.append(message)
      }
    }
    return messages
  }

  static func frame(
    _ flags: FrameFlags = .last, type: UInt16 = 10, stream: UInt64 = 1, payload: [UInt8] = []
  ) throws -> [UInt8] {
    try RawFrame.make(flags, type: type, stream: stream, payload: payload)
  }

  static func seal(_ frame: [UInt8]) -> [UInt8] { RawFrame.seal(frame) }

  @Test("the header's bytes are where the protocol says")
  func headerLayout() throws {
    let chunk = Message.tokenChunk(
      TokenChunk(firstIndex: 0, tokens: [1], finish: nil, migration: nil))
    let bytes = try FrameEncoder.encode(
      chunk, stream: 0x0102_0304_0506_0708, flags: [.response, .last]
    ).frames
    #expect(Array(bytes[..<4]) == Array("BATN".utf8))
    #expect(bytes[4] == 1)
    #expect(bytes[5] == 0b110)
    #expect(Array(bytes[6..<8]) == [53, 0])
    #expect(Array(bytes[8..<16]) == [8, 7, 6, 5, 4, 3, 2, 1])
    #expect(Array(bytes[16..<20]) == [UInt8(bytes.count - 24), 0, 0, 0])
    #expect(Self.seal(bytes) == bytes)
  }

  @Test("messages come out whole however their bytes arrive", arguments: [1, 2, 7, 24, 25, 4_096])
  func dripFed(size: Int) throws {
    var random = RandomMessages(seed: 3)
    var bytes: [UInt8] = []
    var sent: [Message] = []
    for type in MessageType.allCases {
      let message = try random.message(type)
      bytes += try FrameEncoder.encode(message, stream: UInt64(type.rawValue), flags: .last).frames
      sent.append(message)
    }
    let received = try Self.decode(bytes, by: size)
    #expect(
      try received.map {
        try MessageCodecTests.decode($0.header.type, $0.payload)
      } == sent)
    #expect(received.map(\.header.stream) == MessageType.allCases.map { UInt64($0.rawValue) })
  }

  @Test("a cut frame gives nothing and no error, at each length", arguments: MessageType.allCases)
  func truncated(type: MessageType) throws {
    var random = RandomMessages(seed: 4)
    let bytes = try RawFrame.encode(try random.message(type), stream: 1)
    for length in 0..<bytes.count {
      #expect(try Self.decode(Array(bytes[..<length]), by: 64).isEmpty)
    }
    #expect(try Self.decode(bytes, by: 64).count == 1)
  }

  @Test("no single changed bit goes unnoticed", arguments: MessageType.allCases)
  func bitFlips(type: MessageType) throws {
    var random = RandomMessages(seed: 5)
    let bytes = try RawFrame.encode(try random.message(type), stream: 1)
    for bit in 0..<bytes.count * 8 {
      var changed = bytes
      changed[bit / 8] ^= 1 << (bit % 8)
      do throws(BatonError) {
        // A longer length makes the decoder wait for bytes that never come.
        #expect(try Self.decode(changed, by: changed.count).isEmpty, "bit \(bit)")
        #expect((128..<160).contains(bit), "bit \(bit)")
      } catch {
        #expect(error.code == .malformedFrame)
      }
    }
  }

  @Test("a large message is split, its parts can be mixed with other streams', and it comes whole")
  func splitAndInterleaved() throws {
    var random = RandomMessages(seed: 6)
    let data = random.bytes(2 << 20)
    let large = Message.modelAssetChunk(
      ModelAssetChunk(
        name: "tokenizer.json", sha256: random.bytes(32), totalBytes: UInt64(data.count), offset: 0,
        data: data))
    let bytes = try FrameEncoder.encode(large, stream: 2, flags: [.last, .response]).frames
    let small = try FrameEncoder.encode(.acknowledged, stream: 4, flags: [.last, .response]).frames
    var mixed: [UInt8] = []
    var start = 0
    var frames = 0
    while start < bytes.count {
      let length =
        (0..<4).reduce(0) { $0 | Int(bytes[start + 16 + $1]) << (8 * $1) }
      #expect(length <= Limits.maximumFramePayloadBytes)
      let end = start + FrameHeader.byteCount + length
      let flags = FrameFlags(rawValue: bytes[start + 5])
      #expect(flags == (end == bytes.count ? [.last, .response] : [.continues, .response]))
      mixed += bytes[start..<end] + small
      start = end
      frames += 1
    }
    #expect(frames == 9)
    let received = try Self.decode(mixed, by: 65_536)
    #expect(received.count == frames + 1)
    let whole = try #require(received.first { $0.header.stream == 2 })
    #expect(whole.header.flags == [.last, .response])
    #expect(
      try MessageCodecTests.decode(whole.header.type, whole.payload) == large)
  }

  @Test("a message over the limit is not sent")
  func tooLargeToSend() {
    for (count, limits) in [((16 << 20) / 8, FrameLimits.established), (4_096, .handshake)] {
      let values = [UInt64](repeating: 1, count: count)
      let progress = Message.prefillProgress(
        PrefillProgress(firstBlock: 0, stamps: values, checksums: values, completion: nil))
      #expect {
        _ = try FrameEncoder.encode(progress, stream: 1, flags: .last, limits: limits).frames
      } throws: { ($0 as? BatonError)?.code == .invalidArgument }
    }
  }

  @Test("what breaks the rules is malformed, and the error says where and why")
  func malformed() throws {
    let good = try Self.frame()
    func changed(_ index: Int, _ byte: UInt8) -> [UInt8] {
      var frame = good
      frame[index] = byte
      return frame
    }
    let part = try Self.frame(.continues, type: 33, stream: 1, payload: [1, 2, 3])
    let cases: [([UInt8], String)] = [
      (Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8), "magic"),
      (Self.seal(changed(4, 2)), "version"),
      (Self.seal(changed(5, 32)), "flags"),
      (Self.seal(changed(5, 16)), "deadline"),
      (Self.seal(changed(5, 1)), "compressed"),
      (Self.seal(changed(5, 0b1010)), "last"),
      (Self.seal(changed(5, 0b1000)), "empty"),
      (Self.seal(changed(18, 0xFF)), "allowed"),
      (changed(20, good[20] ^ 1), "checksum"),
      (part + (try Self.frame(.last, type: 34, stream: 1)), "type 34"),
      (part + (try Self.frame([.last, .response], type: 33, stream: 1)), "type 33"),
    ]
    for (bytes, reason) in cases {
      #expect {
        _ = try Self.decode(good + bytes, by: 10)
      } throws: { error in
        let text = "\(error)"
        let offset = text.contains("byte 24 ") || text.contains("byte 51 ")
        return (error as? BatonError)?.code == .malformedFrame && offset
          && text.contains(reason)
      }
    }
  }

  @Test("unfinished messages are bounded in bytes and in number")
  func boundedReassembly() throws {
    let limits = FrameLimits(maximumPayloadBytes: 1_024, maximumMessageBytes: 4_096)
    let payload = [UInt8](repeating: 1, count: 1_000)
    let parts = try (0..<5).flatMap {
      try Self.frame(.continues, type: 33, stream: UInt64(1 + 2 * $0), payload: payload)
    }
    #expect {
      _ = try Self.decode(parts, by: 1_000, limits: limits)
    } throws: { "\($0)".contains("5000 bytes") }
    let many = try (0...Limits.maximumStreamsPerConnection).flatMap {
      try Self.frame(.continues, type: 33, stream: UInt64(1 + 2 * $0), payload: [1])
    }
    #expect {
      _ = try Self.decode(many, by: 65_536)
    } throws: { "\($0)".contains("unfinished") }
  }

  @Test("what was reassembled no longer counts")
  func reassemblyIsReleased() throws {
    let limits = FrameLimits(maximumPayloadBytes: 1_024, maximumMessageBytes: 4_096)
    let payload = [UInt8](repeating: 1, count: 1_000)
    var bytes: [UInt8] = []
    for stream in 1...20 {
      for _ in 0..<3 {
        bytes += try Self.frame(.continues, type: 33, stream: UInt64(stream), payload: payload)
      }
      bytes += try Self.frame(.last, type: 33, stream: UInt64(stream), payload: payload)
    }
    let messages = try Self.decode(bytes, by: 500, limits: limits)
    #expect(messages.map(\.payload.count) == Array(repeating: 4_000, count: 20))
  }
}
