import Foundation
import TestSupport
import Testing

extension SystemTests {
  /// Runs `baton wire decode` with `input` on its standard input.
  private static func decode(
    _ input: [UInt8], _ arguments: [String] = []
  ) async throws -> (status: Int32, lines: [String]) {
    let file = FileManager.default.temporaryDirectory
      .appending(path: "baton-capture-\(UInt64.random(in: 0 ... .max))")
    try Data(input).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let script = #"file=$1; shift; exec "$@" <"$file""#
    let process = try ChildProcess(
      "/bin/sh",
      ["-c", script, "sh", file.path(), RunningFleet.baton, "wire", "decode"] + arguments)
    return (await process.exitStatus(), process.lines)
  }

  @Test("baton wire decode shows raw and hexadecimal captures, and where they are malformed")
  func wireDecode() async throws {
    let frames =
      try RawFrame.make(type: 10, stream: 3) + RawFrame.make(type: 53, stream: 5, payload: [8, 7])
    let raw = try await Self.decode(frames)
    #expect(raw.status == 0 && raw.lines.count == 2, "\(raw)")
    let chunk = try JSONValue(try #require(raw.lines.last))
    #expect(chunk["offset"] == .number(24) && chunk["type"] == .string("TokenChunk"))
    #expect(chunk["message"]?["first_index"] == .number(7))

    let text = frames.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    #expect(try await Self.decode(Array(text.utf8)).lines == raw.lines)
    #expect(try await Self.decode(Array(text.utf8), ["--raw"]).status == 1)

    let malformed = try await Self.decode(frames + Array("no frame, but 24 bytes of text".utf8))
    #expect(malformed.status == 1 && malformed.lines.count == 3)
    let error = try JSONValue(try #require(malformed.lines.last))
    #expect(error["offset"] == .number(50))
    #expect(error["error"]?["code"] == .string("MALFORMED_FRAME"))

    let notHexadecimal = try await Self.decode(Array("4241 xyz".utf8), ["--hex"])
    #expect(notHexadecimal.status == 1)
    #expect(notHexadecimal.lines.last?.contains("character 6 ") == true, "\(notHexadecimal)")
    let missing = try await Self.decode([], ["/nowhere"])
    #expect(missing.status == 1)
    #expect(missing.lines == ["Error: cannot read /nowhere: No such file or directory"])
  }
}
