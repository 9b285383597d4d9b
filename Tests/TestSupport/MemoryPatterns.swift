import Glibc

/// Fills `bytes` bytes, a multiple of 8, with one word. By memcpy(3), so that it is quick in
/// every build.
package func fill(_ address: UInt, with word: UInt64, bytes: Int) {
  guard let start = unsafe UnsafeMutableRawPointer(bitPattern: address) else { return }
  unsafe start.storeBytes(of: word, as: UInt64.self)
  var filled = MemoryLayout<UInt64>.size
  while filled < bytes {
    let count = min(filled, bytes - filled)
    unsafe memcpy(start + filled, start, count)
    filled += count
  }
}

/// Whether `bytes` bytes, a multiple of 8, are all the same word.
package func isFilled(_ address: UInt, with word: UInt64, bytes: Int) -> Bool {
  guard let start = unsafe UnsafeRawPointer(bitPattern: address) else { return false }
  let size = MemoryLayout<UInt64>.size
  return unsafe start.load(as: UInt64.self) == word
    && memcmp(start, start + size, bytes - size) == 0
}
