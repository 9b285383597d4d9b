/// Cuts text into the words that byte pairs are merged in: the steps of `pre_tokenizer`.
struct PreTokenizer {
  enum Step: Equatable {
    /// `add_prefix_space`: each piece that does not start with a space gets one.
    case prefixSpace
    case split(WordPattern)
    /// `Digits`: cuts out numbers, either whole or character by character.
    case digits(individually: Bool)
  }

  var steps: [Step] = []

  /// The UTF-8 bytes of each word of a piece of text, in order; none is empty.
  func words(of text: String) -> [[UInt8]] {
    var scalars = Array(text.unicodeScalars)
    guard !scalars.isEmpty else { return [] }
    var ranges = [0..<scalars.count]
    for step in steps {
      switch step {
      case .prefixSpace: addPrefixSpaces(&scalars, &ranges)
      case .split(let pattern): ranges = split(ranges) { pattern.split(scalars, $0, into: &$1) }
      case .digits(let individually):
        ranges = split(ranges) { splitDigits(scalars, $0, individually, into: &$1) }
      }
    }
    return ranges.map { range in
      var bytes: [UInt8] = []
      bytes.reserveCapacity(range.count)
      for scalar in scalars[range] { bytes.append(contentsOf: UTF8.encode(scalar) ?? .init()) }
      return bytes
    }
  }

  private func split(
    _ ranges: [Range<Int>], _ body: (Range<Int>, inout [Range<Int>]) -> Void
  ) -> [Range<Int>] {
    var result: [Range<Int>] = []
    for range in ranges { body(range, &result) }
    return result
  }

  private func addPrefixSpaces(_ scalars: inout [Unicode.Scalar], _ ranges: inout [Range<Int>]) {
    var spaced: [Unicode.Scalar] = []
    spaced.reserveCapacity(scalars.count + ranges.count)
    for (index, range) in ranges.enumerated() {
      let start = spaced.count
      if scalars[range.lowerBound] != " " { spaced.append(" ") }
      spaced.append(contentsOf: scalars[range])
      ranges[index] = start..<spaced.count
    }
    scalars = spaced
  }

  /// Digits are what Rust's `char::is_numeric` says: the classes Nd, Nl and No.
  private func splitDigits(
    _ scalars: [Unicode.Scalar], _ range: Range<Int>, _ individually: Bool,
    into ranges: inout [Range<Int>]
  ) {
    var start = range.lowerBound
    while start < range.upperBound {
      let isNumber = ScalarClass(scalars[start]) == .number
      var stop = start + 1
      if !(isNumber && individually) {
        while stop < range.upperBound, (ScalarClass(scalars[stop]) == .number) == isNumber {
          stop += 1
        }
      }
      ranges.append(start..<stop)
      start = stop
    }
  }
}
