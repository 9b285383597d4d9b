internal import CBatonWire

/// Where a payload stops being the protobuf message of its type, for people who look for the cause:
/// protobuf-c itself says only that it does.
struct PayloadFault: Hashable {
  /// From the payload's start on.
  var offset: Int
  /// What is wrong with the field that begins there.
  var reason: String

  /// The first fault in `payload`; nil where none is found or the type is not known.
  static func first(in payload: Span<UInt8>, type: UInt16) -> PayloadFault? {
    guard let descriptor = unsafe baton_message_descriptor(UInt32(type)) else { return nil }
    var scanner = PayloadScanner(payload: payload)
    return unsafe scanner.fault(before: payload.count, of: descriptor)
  }
}

/// Walks over the fields of a payload (protobuf's encoding page, "Message Structure").
private struct PayloadScanner {
  private let payload: [UInt8]
  private var position = 0

  init(payload: Span<UInt8>) {
    self.payload = unsafe payload.withUnsafeBytes { unsafe [UInt8]($0) }
  }

  /// The first fault in the fields from `position` up to `end`, which are those of `message`.
  mutating func fault(
    before end: Int, of message: UnsafePointer<ProtobufCMessageDescriptor>
  ) -> PayloadFault? {
    while position < end {
      let start = position
      guard let tag = varint(before: end), tag <= UInt64(UInt32.max) else {
        return PayloadFault(offset: start, reason: "the field's tag is cut off or too long")
      }
      let number = UInt32(tag >> 3)
      let field = unsafe protobuf_c_message_descriptor_get_field(message, number)
      let name = unsafe field.map { unsafe String(cString: $0.pointee.name) } ?? "field \(number)"
      if let reason = unsafe skip(UInt8(tag & 7), field, before: end) {
        return PayloadFault(offset: start, reason: "\(name): \(reason)")
      }
      if let nested = unsafe messageFault(inside: field, wireType: UInt8(tag & 7)) { return nested }
    }
    return nil
  }

  /// Goes to the end of a field's content, but only to the start of a nested message's. Returns
  /// what is wrong with it.
  private mutating func skip(
    _ wireType: UInt8, _ field: UnsafePointer<ProtobufCFieldDescriptor>?, before end: Int
  ) -> String? {
    if let field = unsafe field, unsafe !Self.allows(field.pointee, wireType) {
      return "wire type \(wireType) is not that of the field"
    }
    let length: UInt64
    switch wireType {
    case 0: return varint(before: end) == nil ? "the number is cut off or too long" : nil
    case 1: length = 8
    case 2:
      guard let stated = varint(before: end) else { return "the length is cut off or too long" }
      length = stated
    case 5: length = 4
    default: return "wire type \(wireType) is not used"
    }
    guard length <= UInt64(end - position) else {
      return "\(length) bytes are needed, \(end - position) are left"
    }
    contentLength = Int(length)
    if unsafe wireType == 2 && field?.pointee.type == PROTOBUF_C_TYPE_MESSAGE { return nil }
    position += Int(length)
    return nil
  }

  /// Of the length-delimited field that was skipped to last.
  private var contentLength = 0

  private mutating func messageFault(
    inside field: UnsafePointer<ProtobufCFieldDescriptor>?, wireType: UInt8
  ) -> PayloadFault? {
    guard let field = unsafe field, wireType == 2,
      unsafe field.pointee.type == PROTOBUF_C_TYPE_MESSAGE,
      let nested = unsafe field.pointee.descriptor
    else { return nil }
    return unsafe fault(
      before: position + contentLength,
      of: nested.assumingMemoryBound(to: ProtobufCMessageDescriptor.self))
  }

  private static func allows(_ field: ProtobufCFieldDescriptor, _ wireType: UInt8) -> Bool {
    let own: UInt8
    switch unsafe field.type {
    case PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_SFIXED64, PROTOBUF_C_TYPE_DOUBLE: own = 1
    case PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_BYTES, PROTOBUF_C_TYPE_MESSAGE: own = 2
    case PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_SFIXED32, PROTOBUF_C_TYPE_FLOAT: own = 5
    default: own = 0
    }
    // Lists of numbers come packed or one by one.
    return wireType == own
      || (unsafe field.label == PROTOBUF_C_LABEL_REPEATED && wireType == 2)
  }

  private mutating func varint(before end: Int) -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < end, shift < 70 {
      let byte = payload[position]
      position += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    return nil
  }
}
