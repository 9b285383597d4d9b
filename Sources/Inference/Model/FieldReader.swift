import KVCore

/// Reads the fields of one JSON object; what does not fit is an error that names the file, the
/// field, its value and what is allowed.
struct FieldReader {
  let file: String
  let fields: [String: JSONValue]

  /// The field's value; nil when it is absent or null.
  func value(_ name: String) -> JSONValue? {
    guard let value = fields[name], value != .null else { return nil }
    return value
  }

  func refusal(_ name: String, _ value: JSONValue?, allowed: String) -> BatonError {
    let shown = value.map { "is \($0)" } ?? "is missing"
    return BatonError(.invalidArgument, "\(file): \(name) \(shown); allowed: \(allowed)")
  }

  func integer(
    _ name: String, in range: ClosedRange<Int>, default fallback: Int? = nil
  ) throws(BatonError) -> Int {
    let found = value(name)
    if found == nil, let fallback { return fallback }
    guard case .integer(let number) = found, range.contains(number) else {
      throw refusal(
        name, found, allowed: "an integer from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  func number(
    _ name: String, in range: ClosedRange<Double>, default fallback: Double
  ) throws(BatonError) -> Double {
    let number: Double
    switch value(name) {
    case nil: return fallback
    case .integer(let value): number = Double(value)
    case .number(let value): number = value
    case let other:
      throw refusal(name, other, allowed: "a number")
    }
    guard range.contains(number) else {
      throw refusal(
        name, value(name), allowed: "a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  func bool(_ name: String, default fallback: Bool) throws(BatonError) -> Bool {
    guard let found = value(name) else { return fallback }
    guard case .bool(let flag) = found else {
      throw refusal(name, found, allowed: "true or false")
    }
    return flag
  }

  /// Refuses any value but null and those of `allowed`.
  func require(_ name: String, oneOf allowed: [JSONValue]) throws(BatonError) {
    guard let found = value(name), !allowed.contains(found) else { return }
    let list = (allowed.map(\.description) + ["null"]).joined(separator: ", ")
    throw refusal(name, found, allowed: list)
  }

  /// The field's object, named `file: name` in messages; nil when it is absent or null.
  func object(_ name: String) throws(BatonError) -> FieldReader? {
    guard let found = value(name) else { return nil }
    guard case .object(let members) = found else {
      throw refusal(name, found, allowed: "an object or null")
    }
    return FieldReader(file: "\(file): \(name)", fields: members)
  }
}
