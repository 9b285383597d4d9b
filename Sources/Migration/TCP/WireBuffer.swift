/// Memory for what is said on a data connection, little endian, reused from message to message.
@safe
struct WireBuffer: ~Copyable {
  private let base: UnsafeMutableRawPointer
  let count: Int

  /// `count` bytes of 0.
  init(count: Int) {
    unsafe base = .allocate(byteCount: count, alignment: 16)
    unsafe base.initializeMemory(as: UInt8.self, repeating: 0, count: count)
    self.count = count
  }

  /// Where the bytes lie, for as long as the buffer lives.
  var address: UInt { unsafe UInt(bitPattern: base) }

  mutating func store<Number: FixedWidthInteger>(_ number: Number, at offset: Int) {
    precondition(offset >= 0 && offset + MemoryLayout<Number>.size <= count, "inside the buffer")
    unsafe base.storeBytes(of: number.littleEndian, toByteOffset: offset, as: Number.self)
  }

  func load<Number: FixedWidthInteger & BitwiseCopyable>(
    at offset: Int, as type: Number.Type = Number.self
  ) -> Number {
    precondition(offset >= 0 && offset + MemoryLayout<Number>.size <= count, "inside the buffer")
    return Number(littleEndian: unsafe base.loadUnaligned(fromByteOffset: offset, as: type))
  }

  /// Moves the bytes from `first` up to `end` to the front.
  mutating func moveToFront(_ first: Int, upTo end: Int) {
    precondition(0 <= first && first <= end && end <= count, "inside the buffer")
    unsafe base.copyMemory(from: base + first, byteCount: end - first)
  }

  deinit { unsafe base.deallocate() }
}
