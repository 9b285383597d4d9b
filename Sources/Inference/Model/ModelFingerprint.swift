import Crypto
import Dispatch
import Synchronization

/// The identity of a model: two engines may hand sequences to each other only when theirs agree.
enum ModelFingerprint {
  /// Weights are hashed in pieces, so that the cores share the work; the size is part of the
  /// format.
  private static let pieceBytes = 16 << 20

  /// SHA-256 over, for each file in turn: its size (64 bits, little endian), then the SHA-256 of
  /// each 16 MiB of it (the last piece may be shorter).
  ///
  /// - Parameter files: config.json, tokenizer.json, generation_config.json where there is one, and
  ///   the weights in the order of their names: all that decides which answer a prompt gets.
  static func compute(_ files: [FileMapping]) -> [UInt8] {
    var whole = SHA256()
    for file in files { add(file, to: &whole) }
    return Array(whole.finalize())
  }

  private static func add(_ file: FileMapping, to whole: inout SHA256) {
    let byteCount = file.byteCount
    let pieces = (byteCount + pieceBytes - 1) / pieceBytes
    let digests = Mutex([[UInt8]](repeating: [], count: pieces))
    DispatchQueue.concurrentPerform(iterations: pieces) { index in
      let start = index * pieceBytes
      let end = min(start + pieceBytes, byteCount)
      var hash = SHA256()
      unsafe hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: file.bytes[start..<end]))
      let digest = Array(hash.finalize())
      digests.withLock { $0[index] = digest }
    }
    var size = UInt64(byteCount).littleEndian
    unsafe withUnsafeBytes(of: &size) { unsafe whole.update(bufferPointer: $0) }
    for digest in digests.withLock({ $0 }) { whole.update(data: digest) }
  }
}
