package import NIOCore

/// Writes JSON (RFC 8259) with its members in the order in which they are given.
package struct JSONWriter {
  package private(set) var buffer: ByteBuffer
  private var needsComma = false

  /// Appends to `buffer`.
  package init(buffer: ByteBuffer = ByteBuffer()) { self.buffer = buffer }

  package mutating func object(_ members: (inout JSONWriter) -> Void) {
    openObject()
    members(&self)
    closeObject()
  }

  /// Begins an object whose members follow; a copy of the writer goes on from there.
  package mutating func openObject() { open("{") }

  package mutating func closeObject() { close("}") }

  package mutating func array<Element>(
    _ elements: some Sequence<Element>, _ write: (inout JSONWriter, Element) -> Void
  ) {
    open("[")
    for element in elements { write(&self, element) }
    close("]")
  }

  /// The name of the member whose value is written next.
  package mutating func name(_ name: StaticString) {
    separate()
    buffer.writeString("\"\(name)\":")
    needsComma = false
  }

  package mutating func value(_ text: String?) {
    separate()
    guard let text else {
      buffer.writeString("null")
      return
    }
    buffer.writeString("\"")
    Self.writeEscaped(text, to: &buffer)
    buffer.writeString("\"")
  }

  package mutating func value(_ number: some BinaryInteger) {
    separate()
    buffer.writeString("\(number)")
  }

  package mutating func null() {
    separate()
    buffer.writeString("null")
  }

  /// `text` with what RFC 8259 §7 wants escaped; nothing else is.
  package static func writeEscaped(_ text: String, to buffer: inout ByteBuffer) {
    guard text.utf8.contains(where: { needsEscape($0) }) else {
      buffer.writeString(text)
      return
    }
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""): buffer.writeString("\\\"")
      case UInt8(ascii: "\\"): buffer.writeString("\\\\")
      case UInt8(ascii: "\n"): buffer.writeString("\\n")
      case UInt8(ascii: "\r"): buffer.writeString("\\r")
      case UInt8(ascii: "\t"): buffer.writeString("\\t")
      case 0..<0x20:
        buffer.writeString("\\u00" + (byte < 0x10 ? "0" : "") + String(byte, radix: 16))
      default: buffer.writeInteger(byte)
      }
    }
  }

  private static func needsEscape(_ byte: UInt8) -> Bool {
    byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
  }

  private mutating func open(_ bracket: String) {
    separate()
    buffer.writeString(bracket)
    needsComma = false
  }

  private mutating func close(_ bracket: String) {
    buffer.writeString(bracket)
    needsComma = true
  }

  private mutating func separate() {
    if needsComma { buffer.writeString(",") }
    needsComma = true
  }
}
