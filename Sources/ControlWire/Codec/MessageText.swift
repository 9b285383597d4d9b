internal import CBatonWire
internal import KVCore

/// Payloads as JSON, field by field, by what protobuf-c's descriptors say of each message: a new
/// message or field needs nothing here.
///
/// The names are those of the .proto files. All fields of a message are there, also those that have
/// their default, but for messages that are absent and members of a oneof that are not set. Enums
/// are names, or numbers where the .proto knows none; bytes are hexadecimal; integers of 64 bits
/// are strings. Fields that the .proto does not know are listed under `unknown_fields`.
@safe
struct MessageText: ~Copyable {
  private let arena: WireArena
  private let message: UnsafePointer<ProtobufCMessage>

  /// The name of the message that frames of this type carry; nil for a type that is not known.
  static func name(of type: UInt16) -> String? {
    guard let descriptor = unsafe baton_message_descriptor(UInt32(type)) else { return nil }
    return unsafe String(cString: descriptor.pointee.short_name)
  }

  /// Nil where the type is not known or the payload is not its protobuf message.
  init?(type: UInt16, payload: Span<UInt8>) {
    guard let descriptor = unsafe baton_message_descriptor(UInt32(type)) else { return nil }
    let arena = WireArena(unpacking: payload.count)
    let unpacked = unsafe payload.withUnsafeBytes { bytes in
      unsafe protobuf_c_message_unpack(
        descriptor, arena.allocator, bytes.count,
        bytes.baseAddress?.assumingMemoryBound(to: UInt8.self))
    }
    guard let unpacked = unsafe unpacked else { return nil }
    unsafe message = unsafe UnsafePointer(unpacked)
    self.arena = arena
  }

  borrowing func write(to json: inout JSONText) { unsafe Self.write(message, to: &json) }

  private static func write(
    _ message: UnsafePointer<ProtobufCMessage>, to json: inout JSONText
  ) {
    let descriptor = unsafe message.pointee.descriptor.pointee
    let base = unsafe UnsafeRawPointer(message)
    json.object { json in
      for index in 0..<Int(unsafe descriptor.n_fields) {
        unsafe write(descriptor.fields[index], of: base, to: &json)
      }
      guard unsafe message.pointee.n_unknown_fields > 0 else { return }
      json.key("unknown_fields")
      json.list { json in
        for index in 0..<Int(unsafe message.pointee.n_unknown_fields) {
          unsafe write(message.pointee.unknown_fields[index], to: &json)
        }
      }
    }
  }

  private static func write(
    _ field: ProtobufCFieldDescriptor, of base: UnsafeRawPointer, to json: inout JSONText
  ) {
    let member = unsafe base + Int(field.offset)
    let quantifier = unsafe base + Int(field.quantifier_offset)
    if unsafe field.flags & UInt32(PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue) != 0 {
      guard unsafe quantifier.load(as: UInt32.self) == field.id else { return }
    }
    let isList = unsafe field.label == PROTOBUF_C_LABEL_REPEATED
    if unsafe !isList && field.type == PROTOBUF_C_TYPE_MESSAGE {
      guard unsafe member.load(as: UnsafeRawPointer?.self) != nil else { return }
    }
    json.key(unsafe String(cString: field.name))
    guard isList else { return unsafe writeValue(at: member, field, to: &json) }
    let count = unsafe quantifier.load(as: Int.self)
    let elements = unsafe member.load(as: UnsafeRawPointer?.self)
    json.list { json in
      guard let elements = unsafe elements else { return }
      let stride = unsafe byteCount(of: field.type)
      for index in 0..<count {
        unsafe writeValue(at: elements + index * stride, field, to: &json)
      }
    }
  }

  private static func writeValue(
    at member: UnsafeRawPointer, _ field: ProtobufCFieldDescriptor, to json: inout JSONText
  ) {
    switch unsafe field.type {
    case PROTOBUF_C_TYPE_INT32, PROTOBUF_C_TYPE_SINT32, PROTOBUF_C_TYPE_SFIXED32:
      json.number(Int(unsafe member.load(as: Int32.self)))
    case PROTOBUF_C_TYPE_UINT32, PROTOBUF_C_TYPE_FIXED32:
      json.number(Int(unsafe member.load(as: UInt32.self)))
    case PROTOBUF_C_TYPE_INT64, PROTOBUF_C_TYPE_SINT64, PROTOBUF_C_TYPE_SFIXED64:
      json.wideNumber(unsafe member.load(as: Int64.self))
    case PROTOBUF_C_TYPE_UINT64, PROTOBUF_C_TYPE_FIXED64:
      json.wideNumber(unsafe member.load(as: UInt64.self))
    case PROTOBUF_C_TYPE_FLOAT: json.float(unsafe member.load(as: Float.self))
    case PROTOBUF_C_TYPE_DOUBLE: json.float(unsafe member.load(as: Double.self))
    case PROTOBUF_C_TYPE_BOOL:
      json.boolean(unsafe member.load(as: protobuf_c_boolean.self) != 0)
    case PROTOBUF_C_TYPE_ENUM:
      unsafe writeName(of: member.load(as: Int32.self), field, to: &json)
    case PROTOBUF_C_TYPE_STRING:
      let text = unsafe member.load(as: UnsafePointer<CChar>?.self)
      // What is not UTF-8 is shown with replacement characters; the codec says what is wrong.
      json.string(unsafe text.map { unsafe String(cString: $0) } ?? "")
    case PROTOBUF_C_TYPE_BYTES:
      unsafe write(member.load(as: ProtobufCBinaryData.self), to: &json)
    case PROTOBUF_C_TYPE_MESSAGE:
      guard let nested = unsafe member.load(as: UnsafePointer<ProtobufCMessage>?.self) else {
        return json.literal("null")
      }
      unsafe write(nested, to: &json)
    default: preconditionFailure("protobuf-c has a type that is not known here")
    }
  }

  /// Of one element of a list of this type.
  private static func byteCount(of type: ProtobufCType) -> Int {
    switch type {
    case PROTOBUF_C_TYPE_INT64, PROTOBUF_C_TYPE_SINT64, PROTOBUF_C_TYPE_SFIXED64,
      PROTOBUF_C_TYPE_UINT64, PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_DOUBLE:
      8
    case PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_MESSAGE:
      unsafe MemoryLayout<UnsafeRawPointer>.stride
    case PROTOBUF_C_TYPE_BYTES: unsafe MemoryLayout<ProtobufCBinaryData>.stride
    default: 4
    }
  }

  private static func writeName(
    of number: Int32, _ field: ProtobufCFieldDescriptor, to json: inout JSONText
  ) {
    let descriptor = unsafe field.descriptor?.assumingMemoryBound(to: ProtobufCEnumDescriptor.self)
    if let value = unsafe protobuf_c_enum_descriptor_get_value(descriptor, number) {
      json.string(unsafe String(cString: value.pointee.name))
    } else {
      json.number(Int(number))
    }
  }

  private static func write(_ data: ProtobufCBinaryData, to json: inout JSONText) {
    let bytes = unsafe UnsafeBufferPointer(start: data.data, count: data.len)
    json.string(unsafe Hexadecimal.string(bytes))
  }

  private static func write(_ field: ProtobufCMessageUnknownField, to json: inout JSONText) {
    json.object { json in
      json.key("number")
      json.number(Int(unsafe field.tag))
      json.key("wire_type")
      json.number(Int(unsafe field.wire_type.rawValue))
      json.key("bytes")
      unsafe write(ProtobufCBinaryData(len: field.len, data: field.data), to: &json)
    }
  }
}
