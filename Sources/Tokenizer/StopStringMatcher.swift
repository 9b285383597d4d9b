/// Finds stop strings in text that comes in pieces, and holds back what may become one.
///
/// The stop that is complete first counts; of several that end at the same place, the longest.
/// So what leaves does not depend on where the text is cut. Each byte costs an amortised
/// constant per stop (Knuth, Morris and Pratt: Fast Pattern Matching in Strings, 1977).
package struct StopStringMatcher: Sendable {
  private struct Stop {
    let bytes: [UInt8]
    /// For each count of matched bytes, the longest shorter count that also matches there.
    let fallbacks: [Int]
    /// How many bytes of the stop the text ends with.
    var matched = 0

    init(_ text: String) {
      bytes = Array(text.utf8)
      var fallbacks = [0, 0]
      var length = 0
      for byte in bytes.dropFirst() {
        while length > 0, bytes[length] != byte { length = fallbacks[length] }
        if bytes[length] == byte { length += 1 }
        fallbacks.append(length)
      }
      self.fallbacks = fallbacks
    }

    /// Takes a byte. Returns whether the text now ends with the whole stop.
    mutating func advance(_ byte: UInt8) -> Bool {
      while matched > 0, bytes[matched] != byte { matched = fallbacks[matched] }
      if bytes[matched] == byte { matched += 1 }
      return matched == bytes.count
    }
  }

  private var stops: [Stop]
  /// Text that may be the beginning of a stop.
  private var held: [UInt8] = []
  private var stopped = false

  /// - Parameter stops: the strings at which text ends; empty ones are left out.
  package init(stops: [String]) {
    self.stops = stops.filter { !$0.isEmpty }.map(Stop.init)
  }

  /// Takes the next text.
  /// - Returns: the text that may leave, and whether a stop was found: then `emit` ends right
  ///   before it, and nothing more ever leaves.
  package mutating func append(_ text: String) -> (emit: String, stopped: Bool) {
    guard !stopped else { return ("", true) }
    guard !stops.isEmpty else { return (text, false) }
    for byte in text.utf8 {
      held.append(byte)
      var found = 0
      for index in stops.indices where stops[index].advance(byte) {
        found = max(found, stops[index].bytes.count)
      }
      if found > 0 {
        stopped = true
        let emit = String(decoding: held.dropLast(found), as: UTF8.self)
        held = []
        return (emit, true)
      }
    }
    // A stop begins with a whole character, so what is kept does, too.
    let kept = stops.reduce(0) { max($0, $1.matched) }
    let emit = String(decoding: held.dropLast(kept), as: UTF8.self)
    held.removeFirst(held.count - kept)
    return (emit, false)
  }

  /// What is held back, when the text ends without a stop; empty after one.
  package mutating func finish() -> String {
    defer {
      held = []
      for index in stops.indices { stops[index].matched = 0 }
    }
    return String(decoding: held, as: UTF8.self)
  }
}
