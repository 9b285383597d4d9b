import ControlProtocol
import ControlWire
import Foundation
import KVCore
import TestSupport
import Testing

/// `Protocols/vectors`, which `Tools/generate-vectors` makes with Google's protobuf.
@Suite("Test vectors")
struct VectorTests {
  struct File: Decodable {
    var vectors: [Vector]
  }

  struct Vector: Decodable, CustomTestStringConvertible {
    struct Refusal: Decodable {
      var code: String
      var reason: String
    }

    var name: String
    var bytes: String
    var limits: String?
    var canonical: Bool?
    var messages: [JSONValue]?
    var incomplete: Bool?
    var error: Refusal?

    var testDescription: String { name }

    var frameLimits: FrameLimits {
      switch limits {
      case "handshake": .handshake
      case "compressed": .compressed
      default: .established
      }
    }
  }

  static let directory = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../Protocols/vectors").standardized

  static let names: [String] = {
    let names = try? FileManager.default.contentsOfDirectory(atPath: directory.path())
    // The handshake's vectors have a form of their own.
    return (names ?? []).filter { $0.hasSuffix(".json") && $0 != "handshake.json" }.sorted()
  }()

  static func vectors(_ name: String) throws -> [Vector] {
    let data = try Data(contentsOf: directory.appending(path: name))
    return try JSONDecoder().decode(File.self, from: data).vectors
  }

  static func bytes(_ hexadecimal: String) throws -> [UInt8] {
    var reader = CaptureReader(form: .hexadecimal)
    return try reader.bytes(in: Array(hexadecimal.utf8)) + reader.finish()
  }

  @Test("there is a file for the frames and for every message")
  func complete() throws {
    #expect(Self.names.count == MessageType.allCases.count + 1)
    for name in Self.names {
      let vectors = try Self.vectors(name)
      #expect(Set(vectors.map(\.name)).count == vectors.count, "\(name) has a name twice")
    }
  }

  @Test(
    "what is valid means what the vector says, and comes out as the same bytes", arguments: names)
  func valid(file: String) throws {
    for vector in try Self.vectors(file) {
      guard let expected = vector.messages, vector.error == nil else { continue }
      let bytes = try Self.bytes(vector.bytes)
      let received = try FrameTests.decode(bytes, by: bytes.count, limits: vector.frameLimits)
      #expect(received.count == expected.count, "\(vector.name)")
      try Self.expect(bytes, toSay: expected, vector.name)
      // Encoded again: the same bytes, or bytes that mean the same.
      var again: [UInt8] = []
      for (header, payload) in received {
        let message = try MessageCodecTests.decode(header.type, payload)
        again += try RawFrame.encode(
          message, stream: header.stream, flags: header.flags.subtracting(.compressed),
          deadlineMilliseconds: header.deadlineMilliseconds)
      }
      if vector.canonical ?? true { #expect(again == bytes, "\(file): \(vector.name)") }
      try Self.expect(again, toSay: expected, vector.name, butFor: "compressed")
    }
  }

  /// Compares what `FrameInspector` tells of whole messages; unknown fields have no meaning.
  private static func expect(
    _ bytes: [UInt8], toSay expected: [JSONValue], _ name: String, butFor flag: String? = nil
  ) throws {
    var inspector = FrameInspector()
    let lines = try inspector.feed(bytes).map { try JSONValue($0) }
    let messages = lines.filter { $0["message"] != nil }
    #expect(messages.count == expected.count, "\(name)")
    for (found, wanted) in zip(messages, expected) {
      for key in ["type", "stream", "deadline_milliseconds"] {
        #expect(found[key] == wanted[key], "\(name) \(key)")
      }
      let flags = (wanted["flags"]?.elements ?? []).filter { $0.text != flag }
      #expect(found["flags"]?.elements == flags, "\(name)")
      // Absent where it would be long.
      guard let meaning = wanted["message"] else { continue }
      #expect(found["message"]?.removing("unknown_fields") == meaning, "\(name)")
    }
    let isSound = inspector.isSound
    #expect(isSound, "\(name)")
  }

  @Test("what is invalid is refused with the code and for the reason", arguments: names)
  func invalid(file: String) throws {
    for vector in try Self.vectors(file) {
      guard let refusal = vector.error else { continue }
      let bytes = try Self.bytes(vector.bytes)
      var before = 0
      do throws(BatonError) {
        var decoder = FrameDecoder(limits: vector.frameLimits)
        decoder.feed(bytes.span)
        while let received = try decoder.nextMessage() {
          _ = try received.content.get()
          before += 1
        }
        Issue.record("\(file): \(vector.name) was taken")
      } catch {
        #expect(error.code.description == refusal.code, "\(file): \(vector.name): \(error)")
        #expect(error.message.contains(refusal.reason), "\(file): \(vector.name): \(error)")
      }
      #expect(before == vector.messages?.count ?? 0, "\(file): \(vector.name)")
      var inspector = FrameInspector()
      _ = inspector.feed(bytes)
      _ = inspector.finish()
      let isSound = inspector.isSound
      #expect(!isSound, "\(file): \(vector.name)")
    }
  }

  @Test("what is incomplete gives nothing and no error")
  func incomplete() throws {
    let vectors = try Self.vectors("frames.json").filter { $0.incomplete == true }
    #expect(vectors.count > 3)
    for vector in vectors {
      let bytes = try Self.bytes(vector.bytes)
      #expect(try FrameTests.decode(bytes, by: 7, limits: vector.frameLimits).isEmpty)
    }
  }
}
