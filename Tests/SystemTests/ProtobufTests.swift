import ControlProtocol
import ControlWire
import Foundation
import KVCore
import TestSupport
import Testing

extension SystemTests {
  /// Debian's Python, if it has Google's protobuf.
  private static let protobufPython: String? = {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/python3")
    process.arguments = ["-c", "import google.protobuf"]
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return nil }
    process.waitUntilExit()
    return process.terminationStatus == 0 ? "/usr/bin/python3" : nil
  }()

  private static let repository = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../..").standardized

  @Test(
    "Google's protobuf reads every message as it was meant, and its messages are read the same way",
    .enabled(
      if: protobufPython != nil,
      "Debian's python3-protobuf is missing; `Tools/install test` installs it"))
  func protobuf() async throws {
    let python = try #require(Self.protobufPython)
    let folder = FileManager.default.temporaryDirectory
      .appending(path: "baton-protobuf-\(UInt64.random(in: 0 ... .max))")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }

    let ours = try Self.ourMessages().joined(separator: "\n")
    try ours.write(to: folder.appending(path: "ours.jsonl"), atomically: false, encoding: .utf8)
    let script = Self.repository.appending(path: "Tools/wire/peer.py").path()
    let peer = try ChildProcess(python, ["-B", script, folder.path(), "200"])
    let status = await peer.exitStatus()
    try #require(status == 0, "\(peer.lines.joined(separator: "\n"))")

    let theirs = try String(contentsOf: folder.appending(path: "theirs.jsonl"), encoding: .utf8)
    let lines = theirs.split(separator: "\n")
    #expect(lines.count == 200 * MessageType.allCases.count)
    for line in lines { try Self.check(String(line)) }
  }

  /// Random messages of every type, and one that takes several frames: frames and meaning, one JSON
  /// object each.
  private static func ourMessages() throws -> [String] {
    var random = RandomMessages(seed: 77)
    var messages: [Message] = []
    for type in MessageType.allCases {
      for _ in 0..<200 { messages.append(try random.message(type)) }
    }
    let data = random.bytes(600_000)
    messages.append(
      .modelAssetChunk(
        ModelAssetChunk(
          name: "tokenizer.json", sha256: random.bytes(32), totalBytes: UInt64(data.count),
          offset: 0, data: data)))
    return try messages.map { message in
      let frames = try RawFrame.encode(message, stream: random.next(), flags: .last)
      var inspector = FrameInspector()
      let line = try #require(inspector.feed(frames).last)
      let start = try #require(line.range(of: #""message":"#))
      // The message is the last member of the line's object.
      return #"{"bytes":"\#(Hexadecimal.string(frames))","message":\#(line[start.upperBound...])"#
    }
  }

  /// One line of the peer's: the message means what it says, and is encoded to the same bytes.
  private static func check(_ line: String) throws {
    let entry = try JSONValue(line)
    var reader = CaptureReader(form: .hexadecimal)
    let bytes = try reader.bytes(in: Array(try #require(entry["bytes"]?.text).utf8))
    var inspector = FrameInspector()
    let shown = try JSONValue(try #require(inspector.feed(bytes).first))
    #expect(shown["error"] == nil, "\(shown)")
    #expect(shown["message"]?.removing("unknown_fields") == entry["message"])

    var decoder = FrameDecoder(limits: .established)
    decoder.feed(bytes.span)
    let received = try #require(try decoder.nextMessage())
    let again = try RawFrame.encode(
      received.content.get(), stream: received.header.stream, flags: received.header.flags)
    #expect(Hexadecimal.string(again) == entry["canonical"]?.text, "\(shown)")
  }
}
