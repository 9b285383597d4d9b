import ControlProtocol
import ControlWire
import KVCore
import TestSupport
import Testing

@Suite("Fuzzing the wire")
struct FuzzTests {
  private struct Received: Hashable {
    var header: FrameHeader
    var payload: [UInt8]
  }

  /// What comes out of a decoder that is fed in pieces of random sizes, and why it stopped.
  private static func decode(
    _ bytes: [UInt8], limits: FrameLimits, _ random: inout RandomMessages
  ) -> ([Received], BatonError?) {
    var decoder = FrameDecoder(limits: limits)
    var received: [Received] = []
    var start = 0
    while start < bytes.count {
      let end = min(bytes.count, start + random.number(1...max(1, bytes.count / 2)))
      decoder.feed(bytes.span.extracting(start..<end))
      let fed = end - start
      start = end
      do throws(BatonError) {
        while let next = try decoder.next({ header, payload in
          Received(header: header, payload: payload.indices.map { payload[$0] })
        }) {
          received.append(next)
        }
      } catch {
        return (received, error)
      }
      let heldBytes = decoder.heldBytes
      let bound =
        FrameHeader.byteCount + limits.maximumPayloadBytes + fed + limits.maximumMessageBytes
      #expect(heldBytes < bound)
    }
    return (received, nil)
  }

  /// Frames of random messages, some of them in parts, some with fields of the header changed and
  /// sealed again.
  private static func stream(_ mutator: inout Mutator) throws -> [UInt8] {
    var bytes: [UInt8] = []
    let types = MessageType.allCases
    for _ in 0..<mutator.random.number(1...4) {
      var message = try mutator.random.message(types[mutator.random.number(0...types.count - 1)])
      if mutator.random.number(0...7) == 0 {
        // Long and of few different bytes: worth compressing.
        let tokens = [TokenID](repeating: 7, count: mutator.random.number(4_100...8_000))
        message = .tokenChunk(
          TokenChunk(firstIndex: 0, tokens: tokens, finish: nil, migration: nil))
      }
      let partBytes = mutator.random.chance() ? 16 : 1 << 18
      var frames = try RawFrame.encode(
        message, stream: UInt64(mutator.random.number(0...3)), flags: .last,
        deadlineMilliseconds: mutator.random.number(0...3) == 0 ? 5 : nil,
        limits: FrameLimits(
          maximumPayloadBytes: partBytes, maximumMessageBytes: 1 << 20,
          allowsCompression: mutator.random.chance()))
      if mutator.random.number(0...3) == 0 {
        frames[mutator.random.number(4...19)] ^= 1 << UInt8(mutator.random.number(0...7))
        frames = FrameTests.seal(frames)
      }
      bytes += frames
    }
    return mutator.random.number(0...3) == 0 ? bytes : mutator.mutate(bytes)
  }

  @Test("any bytes give the same frames in whatever pieces they come, within the limits of memory")
  func frames() async throws {
    let small = FrameLimits(
      maximumPayloadBytes: 512, maximumMessageBytes: 2_048, allowsCompression: true)
    let all: [FrameLimits] = [small, .handshake, .established, .compressed]
    try await Fuzzing("frames", inputs: 5_000).run { seed in
      var mutator = Mutator(seed: seed)
      let bytes = try Self.stream(&mutator)
      let chosen = all[mutator.random.number(0...3)]
      let (first, error) = Self.decode(bytes, limits: chosen, &mutator.random)
      let (second, sameError) = Self.decode(bytes, limits: chosen, &mutator.random)
      #expect(first == second && error == sameError, "seed \(seed)")
      #expect(error == nil || error?.code == .malformedFrame, "seed \(seed)")
      // Each frame of 24 bytes may hold a payload that is full once it is decompressed.
      let bound =
        chosen.allowsCompression
        ? bytes.count / FrameHeader.byteCount * chosen.maximumPayloadBytes : bytes.count
      #expect(first.reduce(0) { $0 + $1.payload.count } <= bound, "seed \(seed)")
      for received in first { _ = try Self.check(received.header.type, received.payload, seed) }
    }
  }

  @Test("any payload is refused with a typed error, or says the same after another round")
  func messages() async throws {
    let types = MessageType.allCases
    var accepted = 0
    var inputs = 0
    try await Fuzzing("messages", inputs: 20_000).run { seed in
      var mutator = Mutator(seed: seed)
      let type = types[Int(seed) % types.count]
      var payload = try MessageCodecTests.encode(try mutator.random.message(type)).payload
      switch mutator.random.number(0...3) {
      case 0: payload = mutator.payload()
      case 1: payload += mutator.payload()
      default: payload = mutator.mutate(payload)
      }
      inputs += 1
      if try Self.check(type.rawValue, payload, seed) { accepted += 1 }
    }
    // Inputs that are all sound, or all broken at once, would not try much.
    #expect(inputs < 1_000 || (inputs / 10...inputs / 10 * 9).contains(accepted))
  }

  /// Decodes, encodes and decodes again. Returns whether the payload was accepted.
  private static func check(
    _ type: UInt16, _ payload: [UInt8], _ seed: UInt64
  ) throws -> Bool {
    let message: Message
    do throws(BatonError) {
      message = try MessageCodecTests.decode(type, payload)
    } catch {
      let codes: Set<ErrorCode> = [.malformedFrame, .invalidArgument, .unimplemented]
      #expect(codes.contains(error.code), "seed \(seed): \(error)")
      return false
    }
    let again = try MessageCodecTests.encode(message)
    #expect(again.type == type, "seed \(seed)")
    let decoded = try MessageCodecTests.decode(type, again.payload)
    // NaN, which metrics may have, is not equal to itself.
    #expect(
      decoded == message
        || (type == MessageType.metricsReply.rawValue && "\(message)" == "\(decoded)"),
      "seed \(seed)")
    return true
  }

  @Test("whatever is looked at, each line is JSON, and sound is what the decoder takes")
  func inspector() async throws {
    try await Fuzzing("inspector", inputs: 500).run { seed in
      var mutator = Mutator(seed: seed)
      var bytes = try Self.stream(&mutator)
      if mutator.random.chance() {
        let type = MessageType.allCases[Int(seed) % MessageType.allCases.count].rawValue
        bytes += try FrameTests.frame(type: type, stream: 9, payload: mutator.payload())
      }
      var inspector = FrameInspector()
      var lines: [String] = []
      var start = 0
      while start < bytes.count {
        let end = min(bytes.count, start + mutator.random.number(1...bytes.count))
        lines += inspector.feed(Array(bytes[start..<end]))
        start = end
      }
      if let line = inspector.finish() { lines.append(line) }
      let isSound = inspector.isSound
      for line in lines {
        let json = try JSONValue(line)
        #expect(json["offset"] != nil, "seed \(seed)")
        #expect(!isSound || json["error"] == nil, "seed \(seed): \(line)")
      }
      let (_, error) = Self.decode(bytes, limits: .compressed, &mutator.random)
      if error != nil { #expect(!isSound, "seed \(seed)") }
    }
  }
}
