import ControlProtocol
import ControlWire
import Foundation
import KVCore
import TestSupport
import Testing

@Suite("Message codec")
struct MessageCodecTests {
  static func decode(_ type: UInt16, _ payload: [UInt8]) throws(BatonError) -> Message {
    try MessageCodec.decode(type: type, payload: payload.span)
  }

  /// The payload, and the number of its type, of a message that is sent in one frame.
  static func encode(_ message: Message) throws(BatonError) -> (type: UInt16, payload: [UInt8]) {
    let whole = FrameLimits(
      maximumPayloadBytes: Limits.maximumMessageBytes,
      maximumMessageBytes: Limits.maximumMessageBytes)
    let frame = try FrameEncoder.encode(message, stream: 1, flags: .last, limits: whole).frames
    return (UInt16(frame[6]) | UInt16(frame[7]) << 8, Array(frame[FrameHeader.byteCount...]))
  }

  @Test("every message comes back as it was sent", arguments: MessageType.allCases)
  func roundTrip(type: MessageType) throws {
    var random = RandomMessages(seed: UInt64(type.rawValue))
    for _ in 0..<300 {
      let message = try random.message(type)
      let encoded = try Self.encode(message)
      #expect(encoded.type == type.rawValue)
      let decoded = try Self.decode(type.rawValue, encoded.payload)
      #expect(decoded == message)
    }
  }

  @Test(
    "a cut or changed payload gives a message or a typed error", arguments: MessageType.allCases)
  func hostilePayloads(type: MessageType) throws {
    var random = RandomMessages(seed: 1_000 + UInt64(type.rawValue))
    var refused = 0
    func attempt(_ payload: [UInt8]) {
      do throws(BatonError) {
        let message = try Self.decode(type.rawValue, payload)
        // What was accepted can be sent on.
        #expect(try Self.encode(message).type == type.rawValue)
      } catch {
        refused += 1
        #expect([.malformedFrame, .invalidArgument].contains(error.code), "\(error)")
      }
    }
    for _ in 0..<40 {
      let payload = try Self.encode(try random.message(type)).payload
      for length in 0..<payload.count { attempt(Array(payload[..<length])) }
      for _ in 0..<100 where !payload.isEmpty {
        var changed = payload
        changed[random.number(0...payload.count - 1)] = UInt8(random.number(0...255))
        attempt(changed)
      }
      attempt(random.bytes(random.number(0...200)))
    }
    let hasFields = ![
      MessageType.cancel, .acknowledged, .modelAssetsRequest, .metricsRequest,
    ].contains(type)
    #expect(hasFields ? refused > 0 : refused == 0)
  }

  @Test("an unknown type is unimplemented and named")
  func unknownType() {
    #expect {
      _ = try Self.decode(777, ([] as [UInt8]))
    } throws: { error in
      (error as? BatonError)?.code == .unimplemented
        && "\(error)".contains("777")
    }
  }

  static func varint(_ value: UInt64) -> [UInt8] {
    var value = value
    var bytes: [UInt8] = []
    while value >= 0x80 {
      bytes.append(UInt8(value & 0x7F) | 0x80)
      value >>= 7
    }
    return bytes + [UInt8(value)]
  }

  /// Field `number` with `content`, length-delimited (wire type 2).
  static func field(_ number: Int, _ content: [UInt8]) -> [UInt8] {
    varint(UInt64(number << 3 | 2)) + varint(UInt64(content.count)) + content
  }

  /// Field `number` as a varint (wire type 0).
  static func field(_ number: Int, _ value: UInt64) -> [UInt8] {
    varint(UInt64(number << 3)) + varint(value)
  }

  /// Payloads that protobuf accepts and Baton does not, with what the error must name.
  static let refusals: [(MessageType, [UInt8], String)] = [
    (.hello, field(2, Array("a".utf8)), "Hello.incarnation"),
    (.hello, field(2, Array("no spaces".utf8)), "no spaces"),
    (.hello, field(2, [0xC3, 0x28]), "Hello.engine"),
    (.hello, (0..<17).flatMap { field(1, $0) }, "Hello.versions"),
    (.error, field(1, 99), "Error.code"),
    (.error, field(1, 0), "Error.code"),
    (.error, field(1, 1) + field(2, [UInt8](repeating: 65, count: 4_097)), "Error.message"),
    (.peerInfo, [], "PeerInfo.ranks"),
    (.peerInfo, field(5, UInt64(UInt32.max)), "PeerInfo.ranks"),
    (.peerInfo, field(1, field(2, [1, 2, 3])), "ModelSummary.fingerprint"),
    (
      .peerInfo, field(1, field(2, [UInt8](repeating: 7, count: 32)) + field(3, [])),
      "KVGeometry.block_tokens"
    ),
    (.modelAssetChunk, field(3, UInt64.max), "ModelAssetChunk.total_bytes"),
    (.modelAssetChunk, field(3, 10) + field(4, UInt64.max), "ModelAssetChunk"),
    (.prefillRequest, [], "PrefillRequest.request"),
    (.prefillRequest, field(1, [65]), "PrefillRequest.sampling"),
    (.prefillRequest, field(1, [65]) + field(3, varint(UInt64.max)), "PrefillRequest.tokens"),
    (
      .prefillRequest, field(1, [65]) + field(4, [0x0D, 0, 0, 0xC0, 0x7F]),
      "SamplingParameters.temperature"
    ),
    (.tokenChunk, field(2, varint(UInt64.max)), "TokenChunk.tokens"),
    (.tokenChunk, field(3, 9), "TokenChunk.finish"),
    (.prefillAccepted, [], "PrefillAccepted.ticket"),
    (.prefillDone, field(1, UInt64.max), "PrefillDone.first_token"),
    (.linkOpened, field(1, field(2, field(1, [64]))), "TCPEndpoint.salt"),
    (.linkOpened, field(1, field(1, field(1, [64, 65]))), "SharedMemoryEndpoint.token"),
    (
      .linkOpened, field(1, field(1, field(3, field(2, UInt64.max)))), "RegionInfo.length"
    ),
    (.ticketClaim, [], "TicketClaim.ticket"),
  ]

  @Test("a value that is not allowed is refused by the field's name")
  func refusal() {
    for (type, payload, name) in Self.refusals {
      #expect("\(type) without \(name)") {
        _ = try Self.decode(type.rawValue, payload)
      } throws: { error in
        (error as? BatonError)?.code == .invalidArgument && "\(error)".contains(name)
      }
    }
  }

  @Test("a payload that would unpack into far more memory than it has bytes is refused")
  func amplification() {
    // 16 MiB of empty metric families: each would be a struct of its own.
    let payload = [UInt8]((0..<16 << 20).lazy.map { $0 % 2 == 0 ? 0x0A : 0x00 })
    #expect {
      _ = try Self.decode(MessageType.metricsReply.rawValue, payload)
    } throws: { ($0 as? BatonError)?.code == .malformedFrame }
  }

  @Test("an error's sentence is cut at a whole character to what may be sent")
  func longErrorText() throws {
    let long = BatonError(.internalError, String(repeating: "漢", count: 4_000))
    let payload = try Self.encode(.error(long)).payload
    let decoded = try Self.decode(MessageType.error.rawValue, payload)
    guard case .error(let error) = decoded else {
      Issue.record("\(decoded)")
      return
    }
    #expect(error.message == String(repeating: "漢", count: WireLimits.maximumErrorTextBytes / 3))
  }

  @Test("the numbers in Swift are those of the .proto files")
  func numbersMatchProto() throws {
    let protocols = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../Protocols/baton/v1")
    func numbers(_ file: String, _ prefix: String) throws -> [String: Int] {
      let text = try String(contentsOf: protocols.appending(path: file), encoding: .utf8)
      var found: [String: Int] = [:]
      for line in text.split(separator: "\n") {
        let words = line.split(whereSeparator: { " ;".contains($0) })
        guard words.count == 3, words[0].hasPrefix(prefix), words[1] == "=",
          let number = Int(words[2]), number != 0
        else { continue }
        found[words[0].dropFirst(prefix.count).lowercased().replacing("_", with: "")] = number
      }
      return found
    }
    func names<T: CaseIterable & RawRepresentable>(_ type: T.Type) -> [String: Int]
    where T.RawValue: FixedWidthInteger {
      Dictionary(
        uniqueKeysWithValues: type.allCases.map { ("\($0)".lowercased(), Int($0.rawValue)) })
    }
    #expect(try numbers("frame.proto", "MESSAGE_TYPE_") == names(MessageType.self))
    #expect(try numbers("peer.proto", "ROLE_") == names(Role.self))
    #expect(try numbers("peer.proto", "METRIC_KIND_") == names(MetricFamily.Kind.self))
    #expect(try numbers("request.proto", "FINISH_REASON_") == names(FinishReason.self))
    let codes = Dictionary(
      uniqueKeysWithValues: ErrorCode.allCases.map {
        ($0.description.lowercased().replacing("_", with: ""), Int($0.rawValue))
      })
    #expect(try numbers("error.proto", "ERROR_CODE_") == codes)
  }
}
