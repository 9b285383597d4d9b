internal import CBatonWire
internal import KVCore

/// The memory of one message while it is packed or unpacked; all of it goes at once.
@safe
struct WireArena: ~Copyable {
  private let arena: OpaquePointer

  /// An arena that gives out `limit` bytes at most, the first `first` of them without a further
  /// malloc(3).
  init(first: Int, limit: Int) {
    guard let arena = unsafe baton_arena_create(first, limit) else {
      fatalError("out of memory")
    }
    unsafe self.arena = unsafe arena
  }

  /// An arena for what a payload of `byteCount` bytes unpacks into.
  init(unpacking byteCount: Int) {
    let limit = min(
      max(byteCount * WireLimits.unpackedBytesPerByte, WireLimits.minimumUnpackedBytes),
      WireLimits.maximumUnpackedBytes)
    self.init(first: min(limit, byteCount + 1_024), limit: limit)
  }

  deinit { unsafe baton_arena_destroy(arena) }

  var allocator: UnsafeMutablePointer<ProtobufCAllocator>? {
    unsafe baton_arena_allocator(arena)
  }

  /// Room for `count` values, not initialised. Only for packing, where there is no limit.
  private func allocate<T>(_ count: Int, of type: T.Type) -> UnsafeMutablePointer<T> {
    guard let memory = unsafe baton_arena_allocate(arena, count * MemoryLayout<T>.stride) else {
      fatalError("out of memory")
    }
    return unsafe memory.assumingMemoryBound(to: type)
  }

  /// A message of protobuf-c with its defaults.
  func make<Wire>(_ initialise: (UnsafeMutablePointer<Wire>?) -> Void)
    -> UnsafeMutablePointer<Wire>
  {
    let message = unsafe allocate(1, of: Wire.self)
    unsafe initialise(message)
    return unsafe message
  }

  /// `values` as a repeated field of numbers.
  func array<T: BitwiseCopyable>(_ values: [T]) -> (Int, UnsafeMutablePointer<T>?) {
    guard !values.isEmpty else { return (0, nil) }
    let copy = unsafe allocate(values.count, of: T.self)
    unsafe values.withUnsafeBufferPointer { source in
      guard let base = source.baseAddress else { return }
      unsafe copy.initialize(from: base, count: source.count)
    }
    return unsafe (values.count, copy)
  }

  func bytes(_ values: [UInt8]) -> ProtobufCBinaryData {
    let (count, data) = unsafe array(values)
    return unsafe ProtobufCBinaryData(len: count, data: data)
  }

  /// A string of protobuf-c: what comes before the first NUL of `text`.
  func text(_ text: String) -> UnsafeMutablePointer<CChar> {
    var text = text
    return text.withUTF8 { utf8 in
      let copy = unsafe allocate(utf8.count + 1, of: CChar.self)
      for index in 0..<utf8.count { unsafe copy[index] = CChar(bitPattern: utf8[index]) }
      unsafe copy[utf8.count] = 0
      return unsafe copy
    }
  }

  func texts(_ texts: [String]) -> (Int, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) {
    let list = unsafe allocate(texts.count, of: UnsafeMutablePointer<CChar>?.self)
    for (index, each) in texts.enumerated() { unsafe list[index] = unsafe text(each) }
    return unsafe (texts.count, list)
  }

  /// `values` as a repeated field of messages.
  func list<Value: WireConvertible>(
    _ values: [Value]
  ) -> (Int, UnsafeMutablePointer<UnsafeMutablePointer<Value.Wire>?>?) {
    let list = unsafe allocate(values.count, of: UnsafeMutablePointer<Value.Wire>?.self)
    for (index, value) in values.enumerated() {
      unsafe list[index] = unsafe value.wire(in: self)
    }
    return unsafe (values.count, list)
  }
}

/// A value with a message of protobuf-c that carries it.
protocol WireConvertible {
  associatedtype Wire

  /// The message, in memory of `arena`.
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Wire>

  /// Reads and checks every field; throws `invalidArgument` that names the field.
  init(wire: UnsafeMutablePointer<Wire>) throws(BatonError)
}
