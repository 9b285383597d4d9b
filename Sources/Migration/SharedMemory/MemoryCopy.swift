/// Copies between mapped memory.
enum MemoryCopy {
  /// Both ranges must be mapped, the target writable, and must not overlap.
  static func copy(from source: UInt, to target: UInt, length: Int) {
    guard let source = unsafe UnsafeRawPointer(bitPattern: source),
      let target = unsafe UnsafeMutableRawPointer(bitPattern: target)
    else { preconditionFailure("mapped memory does not start at address 0") }
    unsafe target.copyMemory(from: source, byteCount: length)
  }
}
