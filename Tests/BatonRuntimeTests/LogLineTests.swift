import BatonRuntime
import Foundation
import Logging
import Synchronization
import Testing

@Suite("Log lines") struct LogLineTests {
  @Test("have time, level, component, message and sorted pairs")
  func layout() {
    let line = LineLogHandler.line(
      time: Date(timeIntervalSince1970: 1_700_000_000.25), level: .info, component: "decode-0",
      message: "KV arrived",
      metadata: ["request": "cmpl-1", "blocks": "12", "cause": "no room: 0 = \"free\""])
    #expect(
      line == "2023-11-14T22:13:20.250Z info decode-0 KV arrived blocks=12 "
        + "cause=\"no room: 0 = \\\"free\\\"\" request=cmpl-1\n")
  }

  @Test("stay one line whatever the texts have")
  func escaping() {
    let line = LineLogHandler.line(
      time: Date(), level: .error, component: nil, message: "a\nb\u{1b}",
      metadata: ["k": "x\r\n\ty", "l": "\u{85}\u{9b}\u{2028}\u{2029}"])
    #expect(line.filter { $0.isNewline }.count == 1)
    #expect(line.contains("a\\nb\\u{1b}"))
    #expect(line.contains("l=\\u{85}\\u{9b}\\u{2028}\\u{2029}"))
    #expect(line.contains("k=x\\r\\n\\ty"))
  }

  @Test("carry the logger's own pairs and leave out less important events")
  func logger() {
    let lines = Mutex<[String]>([])
    var logger = Logger(label: "test") { _ in
      LineLogHandler(component: "proxy", level: .info) { line in
        lines.withLock { $0.append(line) }
      }
    }
    logger[metadataKey: "request"] = "cmpl-7"
    logger.debug("not this")
    logger.info("this", metadata: ["tokens": "3"])
    let written = lines.withLock { $0 }
    #expect(written.count == 1)
    #expect(written.first?.hasSuffix(" info proxy this request=cmpl-7 tokens=3\n") == true)
  }
}
