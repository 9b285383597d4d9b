internal import CBatonWire

/// A message in protobuf-c's structs, of known size, about to be written.
@safe
struct PackedMessage: ~Copyable {
  let type: MessageType
  let byteCount: Int
  private let arena: WireArena
  /// In memory of `arena`; nil for a message without fields.
  private let message: UnsafeMutablePointer<ProtobufCMessage>?

  /// A message without fields: its payload is empty.
  init(_ type: MessageType) {
    self.type = type
    byteCount = 0
    arena = WireArena(first: 0, limit: 0)
    unsafe message = nil
  }

  init<Value: WireConvertible>(_ type: MessageType, _ value: Value) {
    let arena = WireArena(first: 1_024, limit: .max)
    let wire = unsafe value.wire(in: arena)
    // Every struct of protobuf-c starts with its `ProtobufCMessage base`.
    let message = unsafe UnsafeMutableRawPointer(wire)
      .assumingMemoryBound(to: ProtobufCMessage.self)
    self.type = type
    byteCount = unsafe protobuf_c_message_get_packed_size(message)
    self.arena = arena
    unsafe self.message = unsafe message
  }

  /// Writes the payload; `destination` has room for `byteCount` bytes.
  borrowing func write(to destination: UnsafeMutableRawBufferPointer) {
    precondition(destination.count >= byteCount)
    guard let message = unsafe message, byteCount > 0 else { return }
    let start = unsafe destination.baseAddress?.assumingMemoryBound(to: UInt8.self)
    let written = unsafe protobuf_c_message_pack(message, start)
    precondition(written == byteCount)
  }
}
