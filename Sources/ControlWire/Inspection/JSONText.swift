/// JSON (RFC 8259) that is written front to back, on one line.
///
/// 64-bit integers are strings of decimal digits, as in proto3's JSON mapping, because many readers
/// round numbers above 2^53; numbers that JSON has no digits for are "NaN", "Infinity" and
/// "-Infinity". Floats have the fewest digits that give the same bits back.
struct JSONText {
  private(set) var text = ""
  /// Whether the next value in this object or list follows another.
  private var followsValue = false

  mutating func object(_ body: (inout JSONText) -> Void) { nested("{", "}", body) }

  mutating func list(_ body: (inout JSONText) -> Void) { nested("[", "]", body) }

  /// The name of the value that is written next.
  mutating func key(_ name: String) {
    string(name)
    text += ":"
    followsValue = false
  }

  mutating func string(_ string: String) {
    separate()
    text += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\u{0}"..."\u{1F}", "\u{7F}":
        text += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }

  mutating func number(_ number: Int) { literal("\(number)") }

  mutating func wideNumber<Number: FixedWidthInteger>(_ number: Number) { string("\(number)") }

  mutating func float<Number: BinaryFloatingPoint & LosslessStringConvertible>(_ number: Number) {
    if number.isFinite {
      literal("\(number)")
    } else if number.isNaN {
      string("NaN")
    } else {
      string(number > 0 ? "Infinity" : "-Infinity")
    }
  }

  mutating func boolean(_ value: Bool) { literal(value ? "true" : "false") }

  /// JSON that was written before.
  mutating func literal(_ json: String) {
    separate()
    text += json
  }

  private mutating func nested(
    _ opening: String, _ closing: String, _ body: (inout JSONText) -> Void
  ) {
    separate()
    text += opening
    followsValue = false
    body(&self)
    text += closing
    followsValue = true
  }

  private mutating func separate() {
    if followsValue { text += "," }
    followsValue = true
  }
}
