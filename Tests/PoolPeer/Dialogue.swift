import Glibc
import KVCore

/// Standard input and output by lines, without buffers that poll(2) would not know of.
enum Dialogue {
  /// What came, or did not come, on standard input.
  enum Event {
    /// The words of one line.
    case command([String])
    case timeUp
    case end
  }

  /// By write(2), so that a signal handler and a thread may call it too.
  static func say(_ line: String) {
    var bytes = Array((line + "\n").utf8)
    // Whoever does not read the answer fails the test already.
    _ = unsafe write(STDOUT_FILENO, &bytes, bytes.count)
  }

  /// The next command, or `timeUp` when none has come before `deadline`.
  static func next(before deadline: ContinuousClock.Instant?) -> Event {
    if let deadline {
      let milliseconds = max(0, (deadline - .now) / .milliseconds(1)).rounded(.up)
      var polled = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
      if unsafe poll(&polled, 1, CInt(milliseconds)) == 0 { return .timeUp }
    }
    var line: [UInt8] = []
    var byte: UInt8 = 0
    while unsafe read(STDIN_FILENO, &byte, 1) == 1 {
      if byte == UInt8(ascii: "\n") {
        return .command(
          String(decoding: line, as: UTF8.self).split(separator: " ").map(String.init))
      }
      line.append(byte)
    }
    return .end
  }
}

/// Blocks and stamps as words of a line.
enum Words {
  static func text(_ ranges: [BlockRange]) -> String {
    ranges.map { "\($0.first.rawValue):\($0.count)" }.joined(separator: ",")
  }

  static func ranges(_ text: String) throws(BatonError) -> [BlockRange] {
    try text.split(separator: ",").map { part throws(BatonError) in
      let numbers = part.split(separator: ":").compactMap { UInt32($0) }
      guard numbers.count == 2 else {
        throw BatonError(.invalidArgument, "\(part) is no range of blocks")
      }
      return BlockRange(first: BlockIndex(numbers[0]), count: numbers[1])
    }
  }

  static func text(_ stamps: [UInt64]) -> String {
    stamps.map(String.init).joined(separator: ",")
  }

  static func stamps(_ text: String) -> [UInt64] {
    text.split(separator: ",").compactMap { UInt64($0) }
  }
}
