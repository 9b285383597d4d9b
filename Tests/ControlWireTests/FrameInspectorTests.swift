import ControlProtocol
import ControlWire
import KVCore
import TestSupport
import Testing

@Suite("Looking at frames")
struct FrameInspectorTests {
  private static func lines(_ bytes: [UInt8]) throws -> (lines: [JSONValue], isSound: Bool) {
    var inspector = FrameInspector()
    var lines = inspector.feed(bytes)
    if let line = inspector.finish() { lines.append(line) }
    return (try lines.map { try JSONValue($0) }, inspector.isSound)
  }

  @Test(
    "every field is under its .proto name, as the message has it", arguments: MessageType.allCases)
  func fields(type: MessageType) throws {
    var random = RandomMessages(seed: 7_000 + UInt64(type.rawValue))
    for _ in 0..<100 {
      let message = try random.message(type)
      let (lines, isSound) = try Self.lines(
        RawFrame.encode(message, stream: 3, flags: .last))
      #expect(isSound && lines.count == 1)
      let json = try #require(lines.first?["message"])
      #expect(ReflectedMessage.differences(message, json) == [])
    }
  }

  @Test("headers are shown field by field, parts with their number")
  func headers() throws {
    let part = try FrameTests.frame([.continues, .response], type: 53, stream: 2, payload: [8])
    let rest = try FrameTests.frame([.last, .response], type: 53, stream: 2, payload: [5])
    let (lines, isSound) = try Self.lines(part + rest)
    #expect(isSound)
    #expect(
      lines == [
        try JSONValue(
          """
          {"offset":0,"type":"TokenChunk","type_number":53,"flags":["response","continues"],\
          "stream":"2","length":1,"limits":"established","crc_ok":true,"part":1}
          """),
        try JSONValue(
          """
          {"offset":25,"type":"TokenChunk","type_number":53,"flags":["last","response"],\
          "stream":"2","length":1,"limits":"established","crc_ok":true,"part":2,\
          "message":{"first_index":5,"tokens":[],"finish":"FINISH_REASON_UNSPECIFIED"}}
          """),
      ])
  }

  @Test("numbers, bytes, unknown fields and text of all kinds come out as the page says")
  func values() throws {
    let sample = MessageCodecTests.field(
      4,
      MessageCodecTests.field(1, Array("\"\\\n\u{1}ä".utf8))
        + [0x19] + (0..<8).map { UInt8(Double.infinity.bitPattern >> (8 * UInt64($0)) & 0xFF) })
    let unknown = MessageCodecTests.field(99, [0xAB])
    let payload = MessageCodecTests.field(1, sample + MessageCodecTests.field(3, 77) + unknown)
    let (lines, isSound) = try Self.lines(FrameTests.frame(type: 35, payload: payload))
    #expect(!isSound, "a metric kind of 77")
    #expect(
      lines.first?["message"]
        == (try JSONValue(
          #"""
          {"families":[{"name":"","help":"","kind":77,"samples":[
          {"suffix":"\"\\\n\u0001ä","labels":[],"value":"Infinity"}],
          "unknown_fields":[{"number":99,"wire_type":2,"bytes":"01ab"}]}]}
          """#)))
    #expect(lines.first?["error"]?["message"]?.text?.contains("MetricFamily.kind") == true)
  }

  @Test("a malformed frame ends it, a malformed message does not, and both are explained")
  func errors() throws {
    let good = try FrameTests.frame()
    var broken = good
    broken[20] ^= 1
    let cut = try FrameTests.frame(type: 53, payload: MessageCodecTests.field(4, [0x0A, 5, 0x61]))
    let cases: [(bytes: [UInt8], lines: Int, offset: Double, code: String, reason: String)] = [
      (good + broken + good, 2, 24, "MALFORMED_FRAME", "checksum"),
      (good + Array("HTTP/1.1 400 Bad Request".utf8), 2, 24, "MALFORMED_FRAME", "magic"),
      (cut + good, 2, 0, "MALFORMED_FRAME", "at byte 2 of it, transport: 5 bytes are needed, 1"),
      (good + good.prefix(23), 2, 24, "MALFORMED_FRAME", "after 23 of the header's 24"),
      (good + cut.prefix(25), 2, 24, "MALFORMED_FRAME", "after 25 of 29"),
      (try FrameTests.frame(.continues, payload: [1]), 2, 25, "MALFORMED_FRAME", "1 unfinished"),
      (try FrameTests.frame(type: 999) + good, 2, 0, "UNIMPLEMENTED", "999"),
      (
        try FrameTests.frame(type: 1, payload: [UInt8](repeating: 0, count: 16_385)) + good, 2, 0,
        "MALFORMED_FRAME", "16384 are allowed in the handshake"
      ),
    ]
    for (bytes, count, offset, code, reason) in cases {
      let (lines, isSound) = try Self.lines(bytes)
      #expect(!isSound && lines.count == count, "\(reason): \(lines)")
      let line = try #require(lines.first { $0["error"] != nil }, "\(reason)")
      #expect(line["offset"] == .number(offset), "\(reason)")
      #expect(line["error"]?["code"] == .string(code))
      #expect(line["error"]?["message"]?.text?.contains(reason) == true, "\(line)")
    }
  }

  @Test("a malformed payload's first fault is found")
  func faults() throws {
    let cases: [([UInt8], String)] = [
      ([0x08], "at byte 0 of it, first_index: the number is cut off"),
      ([0x08, 1, 0x80], "at byte 2 of it, the field's tag is cut off"),
      ([0x08, 1, 0x0D, 0, 0, 0, 0], "at byte 2 of it, first_index: wire type 5"),
      ([0x12, 9, 1], "at byte 0 of it, tokens: 9 bytes are needed, 1 are left"),
      ([0x7B], "at byte 0 of it, field 15: wire type 3 is not used"),
    ]
    for (payload, reason) in cases {
      let (lines, _) = try Self.lines(FrameTests.frame(type: 53, payload: payload))
      #expect(lines.first?["error"]?["message"]?.text?.contains(reason) == true, "\(lines)")
    }
  }

  @Test("captures are read raw or as hexadecimal text, whichever they are")
  func captures() throws {
    func read(
      _ pieces: [String], _ form: CaptureReader.Form? = nil
    ) throws(BatonError) -> [UInt8] {
      var reader = CaptureReader(form: form)
      var bytes: [UInt8] = []
      for piece in pieces { bytes += try reader.bytes(in: Array(piece.utf8)) }
      return bytes + (try reader.finish())
    }
    #expect(try read(["4", "2 41\n5", "44E\r\n"]) == Array("BATN".utf8))
    #expect(try read(["BA", "TN\u{1}"]) == Array("BATN\u{1}".utf8))
    #expect(try read(["BA"]) == [0xBA])
    #expect(try read(["BA"], .raw) == Array("BA".utf8))
    #expect(try read([]) == [])
    for (text, reason) in [("424", "odd number"), ("4241 zz", "character 6 "), ("4241é", "\\u")] {
      #expect {
        _ = try read([text], .hexadecimal)
      } throws: { error in
        (error as? BatonError)?.code == .invalidArgument && "\(error)".contains(reason)
      }
    }
  }
}
