import FoundationEssentials

/// Any JSON value, for parameters whose wrong values are repeated to the client.
enum JSONValue: Hashable, Sendable, Decodable, CustomStringConvertible {
  case null
  case boolean(Bool)
  /// Decimal, so that a number of many digits is repeated as it was sent.
  case number(Decimal)
  case text(String)
  case array([JSONValue])
  case object([String: JSONValue])

  /// A text with a lone surrogate or with bytes that are not UTF-8.
  struct InvalidText: Error {}

  /// Throws `InvalidText`, and `DecodingError` for a number beyond `Decimal`.
  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let boolean = try? container.decode(Bool.self) {
      self = .boolean(boolean)
    } else if let number = try? container.decode(Decimal.self) {
      self = .number(number)
    } else if let text = try Self.text(in: container) {
      self = .text(text)
    } else if let array = try Self.unlessOther([JSONValue].self, in: container) {
      self = .array(array)
    } else {
      self = .object(try container.decode([String: JSONValue].self))
    }
  }

  /// Nil for a value that is no text.
  private static func text(in container: any SingleValueDecodingContainer) throws -> String? {
    do {
      return try unlessOther(String.self, in: container)
    } catch {
      throw InvalidText()
    }
  }

  /// Nil for a value of another type; throws for one of this type that cannot be read.
  private static func unlessOther<Value: Decodable>(
    _ type: Value.Type, in container: any SingleValueDecodingContainer
  ) throws -> Value? {
    do {
      return try container.decode(type)
    } catch DecodingError.typeMismatch {
      return nil
    }
  }

  /// As JSON, cut to `EdgeLimits.maximumQuotedCharacters`.
  var description: String { json.shortened }

  private var json: String {
    switch self {
    case .null: "null"
    case .boolean(let boolean): "\(boolean)"
    case .number(let number): "\(number)"
    case .text(let text): "\"\(text)\""
    case .array(let array): "[" + array.map(\.json).joined(separator: ", ") + "]"
    case .object(let object):
      "{"
        + object.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value.json)" }
        .joined(separator: ", ") + "}"
    }
  }
}
