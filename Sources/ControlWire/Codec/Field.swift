internal import CBatonWire
internal import KVCore

/// Checked reading of the fields that protobuf-c unpacked. Names are `Message.field`.
///
/// Everything throws `invalidArgument` that names the field, what came and what is allowed.
enum Field {
  static func text(
    _ text: UnsafeMutablePointer<CChar>?, _ name: StaticString,
    maximumBytes: Int = WireLimits.maximumTextBytes
  ) throws(BatonError) -> String {
    guard let text = unsafe text else { return "" }
    guard let string = unsafe String(validatingCString: text) else {
      throw BatonError(.invalidArgument, "\(name) is not UTF-8")
    }
    guard string.utf8.count <= maximumBytes else {
      throw BatonError(
        .invalidArgument, "\(name) has \(string.utf8.count) bytes, \(maximumBytes) are allowed")
    }
    return string
  }

  static func texts(
    _ count: Int, _ list: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
    _ name: StaticString, maximum: Int
  ) throws(BatonError) -> [String] {
    try require(count: count, name, maximum: maximum)
    guard let list = unsafe list else { return [] }
    var texts: [String] = []
    texts.reserveCapacity(count)
    for index in 0..<count { texts.append(try unsafe text(list[index], name)) }
    return texts
  }

  /// Bytes of which there must be exactly `count`.
  static func bytes(
    _ data: ProtobufCBinaryData, _ name: StaticString, count: Int
  ) throws(BatonError) -> [UInt8] {
    guard unsafe data.len == count else {
      throw BatonError(
        .invalidArgument, "\(name) has \(unsafe data.len) bytes, \(count) are needed")
    }
    return unsafe [UInt8](UnsafeBufferPointer(start: data.data, count: data.len))
  }

  /// Bytes of any number: the message's own limit is theirs.
  static func bytes(_ data: ProtobufCBinaryData) -> [UInt8] {
    unsafe [UInt8](UnsafeBufferPointer(start: data.data, count: data.len))
  }

  /// Bytes of any number that must be UTF-8; NUL is a character among others.
  static func utf8(
    _ data: ProtobufCBinaryData, _ name: StaticString
  ) throws(BatonError) -> String {
    guard let text = String(validating: unsafe bytes(data), as: UTF8.self) else {
      throw BatonError(.invalidArgument, "\(name) is not UTF-8")
    }
    return text
  }

  static func numbers<T: BitwiseCopyable>(
    _ count: Int, _ list: UnsafeMutablePointer<T>?, _ name: StaticString, maximum: Int
  ) throws(BatonError) -> [T] {
    try require(count: count, name, maximum: maximum)
    return unsafe [T](UnsafeBufferPointer(start: list, count: count))
  }

  /// Token ids: no model has negative ones.
  static func tokens(
    _ count: Int, _ list: UnsafeMutablePointer<TokenID>?, _ name: StaticString,
    maximum: Int = Limits.maximumPromptTokens
  ) throws(BatonError) -> [TokenID] {
    let tokens = try unsafe numbers(count, list, name, maximum: maximum)
    // The sign bit of all of them at once.
    guard tokens.reduce(0, |) >= 0 else {
      throw BatonError(.invalidArgument, "\(name) has a negative token")
    }
    return tokens
  }

  static func list<Value: WireConvertible>(
    _ count: Int, _ list: UnsafeMutablePointer<UnsafeMutablePointer<Value.Wire>?>?,
    _ name: StaticString, maximum: Int, of type: Value.Type = Value.self
  ) throws(BatonError) -> [Value] {
    try require(count: count, name, maximum: maximum)
    guard let list = unsafe list else { return [] }
    var values: [Value] = []
    values.reserveCapacity(count)
    for index in 0..<count { values.append(try unsafe message(list[index], name)) }
    return values
  }

  /// A message that must be there.
  static func message<Value: WireConvertible>(
    _ wire: UnsafeMutablePointer<Value.Wire>?, _ name: StaticString,
    as type: Value.Type = Value.self
  ) throws(BatonError) -> Value {
    guard let wire = unsafe wire else {
      throw BatonError(.invalidArgument, "\(name) is missing")
    }
    return try unsafe Value(wire: wire)
  }

  static func optionalMessage<Value: WireConvertible>(
    _ wire: UnsafeMutablePointer<Value.Wire>?, as type: Value.Type = Value.self
  ) throws(BatonError) -> Value? {
    guard let wire = unsafe wire else { return nil }
    return try unsafe Value(wire: wire)
  }

  /// A value of an enum whose raw values are the .proto's.
  static func enumeration<Value: RawRepresentable>(
    _ number: UInt32, _ name: StaticString, as type: Value.Type = Value.self
  ) throws(BatonError) -> Value where Value.RawValue: FixedWidthInteger {
    guard let raw = Value.RawValue(exactly: number), let value = Value(rawValue: raw) else {
      throw BatonError(.invalidArgument, "\(name) is \(number), which is not known here")
    }
    return value
  }

  /// The same where 0 stands for nothing.
  static func optionalEnumeration<Value: RawRepresentable>(
    _ number: UInt32, _ name: StaticString, as type: Value.Type = Value.self
  ) throws(BatonError) -> Value? where Value.RawValue: FixedWidthInteger {
    number == 0 ? nil : try enumeration(number, name)
  }

  static func number(
    _ number: UInt32, _ name: StaticString, in range: ClosedRange<Int>
  ) throws(BatonError) -> Int {
    guard range.contains(Int(number)) else {
      throw BatonError(
        .invalidArgument,
        "\(name) is \(number), \(range.lowerBound) to \(range.upperBound) are allowed")
    }
    return Int(number)
  }

  /// Bytes of a region, or up to them.
  static func regionBytes(_ number: UInt64, _ name: StaticString) throws(BatonError) -> ByteCount {
    guard number <= UInt64(WireLimits.maximumRegionBytes) else {
      throw BatonError(
        .invalidArgument, "\(name) is \(number), \(WireLimits.maximumRegionBytes) are allowed")
    }
    return ByteCount(Int(number))
  }

  static func engine(
    _ text: UnsafeMutablePointer<CChar>?, _ name: StaticString
  ) throws(BatonError) -> EngineID {
    try EngineID(try unsafe Field.text(text, name))
  }

  static func incarnation(_ number: UInt64, _ name: StaticString) throws(BatonError) -> Incarnation
  {
    guard number != 0 else { throw BatonError(.invalidArgument, "\(name) is 0") }
    return Incarnation(number)
  }

  static func request(
    _ text: UnsafeMutablePointer<CChar>?, _ name: StaticString
  ) throws(BatonError) -> RequestID {
    let text = try unsafe Field.text(text, name)
    guard !text.isEmpty else { throw BatonError(.invalidArgument, "\(name) is empty") }
    return RequestID(text)
  }

  static func require(
    count: Int, _ name: StaticString, maximum: Int
  ) throws(BatonError) {
    guard count <= maximum else {
      throw BatonError(
        .invalidArgument, "\(name) has \(count) elements, \(maximum) are allowed")
    }
  }

  /// Two lists with a number each of the same things must have the same length.
  static func require(
    count: Int, _ name: StaticString, toMatch other: Int, _ otherName: StaticString,
    each thing: StaticString
  ) throws(BatonError) {
    guard count == other else {
      throw BatonError(
        .invalidArgument,
        "\(name) has \(count) elements, \(otherName) has \(other); one for each \(thing) is "
          + "needed")
    }
  }
}
