/// Turns tokens into text while they come: text leaves as soon as it is whole UTF-8.
///
/// All text that leaves, `finish` included, is together what `Tokenizer.decode` makes of all
/// tokens, with special ones skipped.
package struct StreamDetokenizer: Sendable {
  private let tokenizer: Tokenizer
  /// The beginning of a character; at most three bytes between calls.
  private var pending: [UInt8] = []

  package init(tokenizer: Tokenizer) {
    self.tokenizer = tokenizer
  }

  /// Takes the next tokens. Returns the text that is whole with them, which may be empty.
  package mutating func append(_ tokens: some Sequence<Int32>) -> String {
    for token in tokens where !tokenizer.isSpecial(token) {
      if let bytes = tokenizer.bytes(of: token) { pending += bytes }
    }
    let whole = pending.count - Self.unfinishedCount(pending)
    let text = String(decoding: pending[..<whole], as: UTF8.self)
    pending.removeFirst(whole)
    return text
  }

  /// What is held back, as U+FFFD. Afterwards a new text may begin.
  package mutating func finish() -> String {
    defer { pending = [] }
    return String(decoding: pending, as: UTF8.self)
  }

  /// How many bytes at the end may become a character with more bytes behind them.
  ///
  /// From table 3-7 of the Unicode standard (well-formed UTF-8 byte sequences).
  private static func unfinishedCount(_ bytes: [UInt8]) -> Int {
    for count in 1...3 where count <= bytes.count {
      let lead = bytes[bytes.count - count]
      if lead & 0xC0 == 0x80 { continue }
      let length =
        switch lead {
        case 0xC2...0xDF: 2
        case 0xE0...0xEF: 3
        case 0xF0...0xF4: 4
        default: 1
        }
      guard count < length else { return 0 }
      if count > 1, !isSecond(bytes[bytes.count - count + 1], after: lead) { return 0 }
      return count
    }
    return 0
  }

  /// Whether a continuation byte may follow this lead byte.
  private static func isSecond(_ byte: UInt8, after lead: UInt8) -> Bool {
    switch lead {
    case 0xE0: byte >= 0xA0
    case 0xED: byte <= 0x9F
    case 0xF0: byte >= 0x90
    case 0xF4: byte <= 0x8F
    default: true
    }
  }
}
