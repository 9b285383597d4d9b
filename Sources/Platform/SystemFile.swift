import Glibc

/// Files that the kernel makes up while they are read, under /proc and /sys.
enum SystemFile {
  /// The whole text, or nil where the file cannot be read. Their length is not known before, and
  /// one read(2) may bring only a part.
  static func text(_ path: String) -> String? {
    let opened = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard opened >= 0 else { return nil }
    let descriptor = FileDescriptor(owning: opened)
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = unsafe read(descriptor.rawValue, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { return nil }
      guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
      bytes += chunk[..<count]
    }
  }

  /// The first line without its end.
  static func line(_ path: String) -> String? {
    text(path)?.split(separator: "\n", maxSplits: 1).first.map(String.init)
  }
}
