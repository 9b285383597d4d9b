/// What the patterns of pre-tokenizers tell apart in a character.
///
/// Properties are those of the Unicode version of Swift's standard library. A character that is
/// newer than the one Hugging Face was built with may be classed differently there.
enum ScalarClass: UInt8 {
  /// `\p{L}`: general categories Lu, Ll, Lt, Lm, Lo.
  case letter
  /// `\p{N}`: general categories Nd, Nl, No.
  case number
  /// `[\r\n]`.
  case newline
  /// The rest of `\s`: the property White_Space.
  case space
  /// `[^\s\p{L}\p{N}]`.
  case other

  init(_ scalar: Unicode.Scalar) {
    if scalar.value < 0x80 {
      self = Self.ascii[Int(scalar.value)]
    } else {
      self = Self.lookUp(scalar)
    }
  }

  var isWhitespace: Bool { self == .space || self == .newline }

  private static let ascii: [ScalarClass] = (UInt8(0)..<0x80).map { lookUp(Unicode.Scalar($0)) }

  private static func lookUp(_ scalar: Unicode.Scalar) -> ScalarClass {
    if scalar == "\r" || scalar == "\n" { return .newline }
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
      return .letter
    case .decimalNumber, .letterNumber, .otherNumber:
      return .number
    default:
      return scalar.properties.isWhitespace ? .space : .other
    }
  }
}
