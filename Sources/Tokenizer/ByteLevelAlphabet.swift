/// The printable characters that byte-level vocabularies write bytes with.
///
/// From `bytes_to_unicode` of GPT-2's `encoder.py`: printable Latin-1 stands for itself, the
/// other bytes for U+0100 and up, in their order.
enum ByteLevelAlphabet {
  /// The character for each byte, indexed by the byte.
  static let scalars: [Unicode.Scalar] = {
    var next: UInt32 = 0x100
    return (UInt32(0)...255).map { byte in
      var value = byte
      if !isPrintable(byte) {
        value = next
        next += 1
      }
      return Unicode.Scalar(value) ?? "\u{FFFD}"
    }
  }()

  /// The byte for each character, indexed by the character's code point; nil elsewhere.
  private static let bytes: [UInt8?] = {
    var table = [UInt8?](repeating: nil, count: 0x180)
    for (byte, scalar) in scalars.enumerated() {
      table[Int(scalar.value)] = UInt8(byte)
    }
    return table
  }()

  /// The bytes that a vocabulary entry stands for; nil when it has a character that is not of
  /// the alphabet.
  static func bytes(of entry: String) -> [UInt8]? {
    var result: [UInt8] = []
    result.reserveCapacity(entry.utf8.count)
    for scalar in entry.unicodeScalars {
      let value = Int(scalar.value)
      guard value < bytes.count, let byte = bytes[value] else { return nil }
      result.append(byte)
    }
    return result
  }

  private static func isPrintable(_ byte: UInt32) -> Bool {
    (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || (0xAE...0xFF).contains(byte)
  }
}
