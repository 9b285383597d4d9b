package import KVCore

/// Bytes of the wire as people keep them: as they are, or as hexadecimal text.
///
/// Hexadecimal text is pairs of digits with white space anywhere between the digits.
package struct CaptureReader {
  package enum Form: Hashable, Sendable {
    case raw
    case hexadecimal
  }

  /// Nil until enough has come to tell: a frame starts with `BATN`, which is not hexadecimal.
  private var form: Form?
  private var undecided: [UInt8] = []
  /// The first digit of a byte whose second has not come.
  private var halfByte: UInt8?
  /// How many characters have been read.
  private var position = 0

  /// `form` is found out from the first four bytes if it is nil.
  package init(form: Form?) { self.form = form }

  /// The bytes that `piece` adds. Throws `invalidArgument`, with the place, for what is no
  /// hexadecimal digit in hexadecimal text.
  package mutating func bytes(in piece: [UInt8]) throws(BatonError) -> [UInt8] {
    if let form { return try bytes(in: piece, form) }
    undecided += piece
    return undecided.count < FrameHeader.magicByteCount ? [] : try decide()
  }

  /// The bytes that are left when nothing more comes. Throws `invalidArgument` for half a byte.
  package mutating func finish() throws(BatonError) -> [UInt8] {
    let rest = form == nil ? try decide() : []
    guard halfByte == nil else {
      throw BatonError(
        .invalidArgument, "the hexadecimal text has an odd number of digits, two make a byte")
    }
    return rest
  }

  private mutating func decide() throws(BatonError) -> [UInt8] {
    let isText = undecided.allSatisfy { Self.isSpace($0) || Self.digit($0) != nil }
    let form: Form = isText ? .hexadecimal : .raw
    self.form = form
    defer { undecided = [] }
    return try bytes(in: undecided, form)
  }

  private mutating func bytes(in piece: [UInt8], _ form: Form) throws(BatonError) -> [UInt8] {
    guard form == .hexadecimal else { return piece }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(piece.count / 2)
    for character in piece {
      position += 1
      if Self.isSpace(character) { continue }
      guard let digit = Self.digit(character) else {
        throw BatonError(
          .invalidArgument,
          "character \(position) of the hexadecimal text is "
            + "\"\(Unicode.Scalar(character).escaped(asASCII: true))\": "
            + "0-9, a-f, A-F and white space are right")
      }
      if let high = halfByte {
        bytes.append(high << 4 | digit)
        halfByte = nil
      } else {
        halfByte = digit
      }
    }
    return bytes
  }

  private static func isSpace(_ character: UInt8) -> Bool {
    character == 0x20 || (0x09...0x0D).contains(character)
  }

  private static func digit(_ character: UInt8) -> UInt8? {
    Unicode.Scalar(character).properties.isASCIIHexDigit
      ? Character(Unicode.Scalar(character)).hexDigitValue.map(UInt8.init) : nil
  }
}
