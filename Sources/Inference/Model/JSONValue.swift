import FoundationEssentials
import KVCore

/// A JSON document as a value, so that messages can show what a field really holds.
enum JSONValue: Hashable, Sendable {
  case null
  case bool(Bool)
  case integer(Int)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])
}

extension JSONValue: Decodable {
  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let value = try? container.decode(String.self) {
      self = .string(value)
    } else if let value = try? container.decode(Int.self) {
      self = .integer(value)
    } else if let value = try? container.decode(Double.self) {
      self = .number(value)
    } else if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode([JSONValue].self) {
      self = .array(value)
    } else {
      self = .object(try container.decode([String: JSONValue].self))
    }
  }

  /// The object that `bytes` hold.
  ///
  /// Throws `BatonError` with `invalidArgument` that names `file` when they hold anything else.
  static func object(
    in bytes: some Collection<UInt8>, file: String
  ) throws(BatonError) -> [String: JSONValue] {
    let document: JSONValue
    do {
      document = try JSONDecoder().decode(JSONValue.self, from: Data(bytes))
    } catch {
      throw BatonError(.invalidArgument, "\(file) is not valid JSON")
    }
    guard case .object(let fields) = document else {
      throw BatonError(.invalidArgument, "\(file) must hold a JSON object and holds \(document)")
    }
    return fields
  }
}

extension JSONValue: CustomStringConvertible {
  /// The value as JSON writes it, members in the order of their names.
  var description: String {
    switch self {
    case .null: "null"
    case .bool(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .number(let value): "\(value)"
    case .string(let value): "\"\(value)\""
    case .array(let values): "[" + values.map(\.description).joined(separator: ", ") + "]"
    case .object(let members):
      "{"
        + members.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }
        .joined(separator: ", ") + "}"
    }
  }
}
