import Foundation
import ControlProtocol
import KVCore
import NIOCore
import ProxyService
import Testing

@Suite("Encoding answers") struct CompletionEncoderTests {
  private let ending = CompletionEncoder.Ending(
    reason: .length, usage: .init(promptTokens: 3, completionTokens: 4), report: .handedOver,
    firstTokenMicroseconds: 10, totalMicroseconds: 20)

  private func encoder(includesUsage: Bool) -> CompletionEncoder {
    CompletionEncoder(
      id: RequestID("cmpl-1"), createdSeconds: 5, model: "m", fingerprint: "fp_1",
      includesUsage: includesUsage)
  }

  private static let head =
    #"{"id":"cmpl-1","object":"text_completion","created":5,"model":"m","#
    + #""system_fingerprint":"fp_1","#
  private static let report =
    #""baton":{"prefill":"prefill-0","decode":"decode-0","migration":{"transport":"shm","#
    + #""mode":"borrow","blocks":1,"bytes":0,"microseconds":42},"attempts":1,"#
    + #""queued_microseconds":1,"prefill_microseconds":2,"first_token_microseconds":10,"#
    + #""total_microseconds":20}"#

  @Test("writes a piece of text as one event, escaped")
  func chunk() {
    #expect(
      String(buffer: encoder(includesUsage: false).chunk(.init(text: "a\"\\\n\u{1}é"))) == "data: "
        + Self.head
        + #""choices":[{"index":0,"text":"a\"\\\n\u0001é","logprobs":null,"finish_reason":null}]}"#
        + "\n\n")
  }

  @Test("ends a stream with the reason and the report, then the usage if wanted, then [DONE]")
  func lastChunks() {
    let choice = #""choices":[{"index":0,"text":"z","logprobs":null,"finish_reason":"length"}]"#
    #expect(
      String(buffer: encoder(includesUsage: false).lastChunks(.init(text: "z"), ending: ending))
        == "data: \(Self.head)\(choice),\(Self.report)}\n\ndata: [DONE]\n\n")
    #expect(
      String(buffer: encoder(includesUsage: true).lastChunks(.init(text: "z"), ending: ending))
        == "data: \(Self.head)\(choice),\"usage\":null,\(Self.report)}\n\n"
        + "data: \(Self.head)\"choices\":[],"
        + #""usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#
        + "\n\ndata: [DONE]\n\n")
  }

  @Test("writes a whole answer as one object")
  func response() {
    #expect(
      String(buffer: encoder(includesUsage: false).response(.init(text: "t"), ending: ending))
        == Self.head
        + #""choices":[{"index":0,"text":"t","logprobs":null,"finish_reason":"length"}],"#
        + #""usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7},"#
        + Self.report + "}")
  }

  @Test("escapes every control character so that a JSON parser gives it back")
  func escapes() throws {
    let text = String(String.UnicodeScalarView((0..<0x80).compactMap { Unicode.Scalar($0) }))
    var writer = JSONWriter()
    writer.array([text]) { writer, text in writer.value(text) }
    let parsed = try JSONDecoder().decode(
      [String].self, from: Data(writer.buffer.readableBytesView))
    #expect(parsed == [text])
  }

  @Test("Tokens that were asked for stand beside their text, also where there is none yet")
  func tokens() {
    let event = String(
      buffer: encoder(includesUsage: false).chunk(.init(text: "", tokens: [5, 9])))
    #expect(event.contains("\"text\":\"\",\"token_ids\":[5,9],"))
  }
}
