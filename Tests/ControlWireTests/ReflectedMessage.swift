import ControlProtocol
import KVCore
import TestSupport

/// Compares a message with its JSON by the names of its properties, without the codec: what reads
/// and what writes a field cannot agree on the wrong one unnoticed.
enum ReflectedMessage {
  /// What differs, each with its path; empty where the JSON says the same as the message.
  static func differences(_ message: Message, _ json: JSONValue) -> [String] {
    switch message {
    // These cases carry the content of the message's one field.
    case .prefillAccepted(let ticket): differences(ticket, json["ticket"], "ticket")
    case .metricsReply(let families): differences(families, json["families"], "families")
    case .error(let error): differences(error, json)
    default:
      Mirror(reflecting: message).children.first.map { content in
        if plain(content.value) != nil, case .object(let members) = json, members.count == 1 {
          // The value of the message's one field.
          return differences(content.value, members.first?.value, "")
        }
        return differences(content.value, json, "")
      } ?? []
    }
  }

  private static func differences(_ error: BatonError, _ json: JSONValue) -> [String] {
    differences("ERROR_CODE_\(error.code)", json["code"], "code")
      + differences(error.message, json["message"], "message")
      + differences(error.isRetryable, json["retryable"], "retryable")
      + differences(error.retryAfterMilliseconds as Any, json["retry_after_ms"], "retry_after_ms")
  }

  private static func differences(_ value: Any, _ json: JSONValue?, _ path: String) -> [String] {
    let mirror = Mirror(reflecting: value)
    if mirror.displayStyle == .optional {
      if let content = mirror.children.first { return differences(content.value, json, path) }
      return json == nil || json?.text?.hasSuffix("_UNSPECIFIED") == true
        ? [] : ["\(path) is nil"]
    }
    guard let json else { return ["\(path) is missing"] }
    if let plain = plain(value) {
      // Text that may have NUL travels as bytes.
      let bytes = (value as? String).map { JSONValue.string(Hexadecimal.string($0.utf8)) }
      return plain == json || bytes == json ? [] : ["\(path): \(plain), \(json)"]
    }
    if mirror.displayStyle == .collection {
      guard mirror.children.count == json.elements.count else {
        return ["\(path) differs in length"]
      }
      return zip(mirror.children, json.elements).flatMap { child, element in
        differences(child.value, element, path + "[]")
      }
    }
    return mirror.children.flatMap { label, child in
      let name = snakeCase(label ?? "")
      if let plain = unpacked(name, of: value, in: json) {
        return differences(child, plain, path + "." + name)
      }
      return differences(child, json[name], path + "." + name)
    }
  }

  /// A list that travels in another form, made from that form; nil for other properties.
  private static func unpacked(_ name: String, of value: Any, in json: JSONValue) -> JSONValue? {
    switch name {
    case "blocks" where value is Ticket:
      var end = 0.0
      let runs = zip(json.numbers("block_counts"), json.numbers("block_gaps"))
      return .list(
        runs.map { count, gap in
          defer { end += gap + count }
          return .object(["first": .number(end + gap), "count": .number(count)])
        })
    case "stamps":
      guard var stamp = json["first_stamp"]?.text.flatMap(UInt64.init) else { return nil }
      var jumps: [Int: UInt64] = [:]
      var place = 0
      for (run, jump) in zip(json.numbers("stamp_runs"), json["stamp_jumps"]?.elements ?? []) {
        place += Int(run)
        jumps[place] = jump.text.flatMap(Int64.init).map(UInt64.init(bitPattern:))
      }
      return .list(
        (json["checksums"]?.elements ?? []).indices.map { place in
          if place > 0 { stamp &+= 2 &+ (jumps[place] ?? 0) }
          return .string("\(stamp)")
        })
    default: return nil
    }
  }

  /// What is one value in JSON; nil for lists and messages.
  private static func plain(_ value: Any) -> JSONValue? {
    // An empty list of anything can be cast to one of bytes.
    if type(of: value) == [UInt8].self, let bytes = value as? [UInt8] {
      return .string(Hexadecimal.string(bytes))
    }
    return switch value {
    case let value as EngineID: .string(value.name)
    case let value as RequestID: .string(value.rawValue)
    case let value as Incarnation: .string("\(value.rawValue)")
    case let value as LinkID: .string("\(value.rawValue)")
    case let value as ByteCount: .string("\(value.rawValue)")
    case let value as RegionKey: .number(Double(value.rawValue))
    case let value as BlockIndex: .number(Double(value.rawValue))
    case let value as Role: name("ROLE_", value)
    case let value as FinishReason: name("FINISH_REASON_", value)
    case let value as KVDataType:
      .string(value == .float32 ? "DATA_TYPE_FLOAT32" : "DATA_TYPE_BFLOAT16")
    case let value as MetricFamily.Kind: name("METRIC_KIND_", value)
    case let value as UInt64: .string("\(value)")
    case let value as String: .string(value)
    case let value as Bool: .boolean(value)
    // Both sides have the shortest digits of the same bits.
    case let value as Float: Double("\(value)").map(JSONValue.number)
    case let value as Double: .number(value)
    case let value as Int: .number(Double(value))
    case let value as Int32: .number(Double(value))
    case let value as UInt32: .number(Double(value))
    default: nil
    }
  }

  private static func name(_ prefix: String, _ value: some Any) -> JSONValue {
    .string(prefix + "\(value)".uppercased())
  }

  /// `bootID` to `boot_id`.
  private static func snakeCase(_ name: String) -> String {
    var snake = ""
    var wasUpper = true
    for character in name {
      if character.isUppercase && !wasUpper { snake += "_" }
      wasUpper = character.isUppercase
      snake += character.lowercased()
    }
    return snake
  }
}

extension JSONValue {
  /// The numbers of a member that is a list of them.
  fileprivate func numbers(_ key: String) -> [Double] {
    (self[key]?.elements ?? []).compactMap { element in
      guard case .number(let number) = element else { return nil }
      return number
    }
  }
}
