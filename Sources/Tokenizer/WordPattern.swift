/// The regular expressions by which published models split text into words, as scanners.
///
/// Every character of a text belongs to exactly one match of each of these patterns, so cutting
/// the text at the matches (`Isolated`) and keeping only the matches (`Removed`, inverted) are
/// the same.
enum WordPattern: CaseIterable {
  /// From `encoder.py` of GPT-2; also what the pre-tokenizer `ByteLevel` itself splits by.
  case gpt2
  /// From `tokenizer.json` of Llama 3.
  case llama3
  /// From `tokenizer.json` of Qwen 2: Llama 3's, with each number by itself.
  case qwen2

  /// The regular expression, as files give it.
  var expression: String {
    switch self {
    case .gpt2: #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
    case .llama3: Self.modernStart + #"\p{N}{1,3}"# + Self.modernEnd
    case .qwen2: Self.modernStart + #"\p{N}"# + Self.modernEnd
    }
  }

  private static let modernStart =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"#
  private static let modernEnd =
    #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

  /// Appends the ranges of the words of `range`, which cover it without a gap.
  func split(
    _ scalars: [Unicode.Scalar], _ range: Range<Int>, into ranges: inout [Range<Int>]
  ) {
    let scanner = Scanner(scalars: scalars, end: range.upperBound)
    var start = range.lowerBound
    while start < range.upperBound {
      let end = self == .gpt2 ? scanner.gpt2Word(start) : scanner.modernWord(start, numberLimit)
      ranges.append(start..<end)
      start = end
    }
  }

  /// How many characters of class `\p{N}` make one word at most.
  private var numberLimit: Int { self == .llama3 ? 3 : 1 }
}

/// Reads one word at a time; each method answers where the match that starts at `start` ends.
private struct Scanner {
  let scalars: [Unicode.Scalar]
  /// Where the piece of text ends: nothing behind it is looked at.
  let end: Int

  func gpt2Word(_ start: Int) -> Int {
    if let length = contraction(start, ignoringCase: false) { return start + length }
    let body = scalars[start] == " " ? start + 1 : start
    if body < end {
      let kind = ScalarClass(scalars[body])
      if !kind.isWhitespace { return run(of: kind, from: body) }
    }
    return whitespace(start)
  }

  func modernWord(_ start: Int, _ numberLimit: Int) -> Int {
    if let length = contraction(start, ignoringCase: true) { return start + length }
    let kind = ScalarClass(scalars[start])
    switch kind {
    case .letter:
      return run(of: .letter, from: start)
    case .number:
      return run(of: .number, from: start, limit: numberLimit)
    case .space, .other:
      // `[^\r\n\p{L}\p{N}]?\p{L}+` takes any one character before a word.
      if isClass(.letter, start + 1) { return run(of: .letter, from: start + 1) }
      let body = scalars[start] == " " ? start + 1 : start
      if isClass(.other, body) {
        return run(of: .newline, from: run(of: .other, from: body))
      }
    case .newline:
      break
    }
    return lastNewlineOfRun(start) ?? whitespace(start)
  }

  /// `'s|'t|'re|'ve|'m|'ll|'d`: how many characters match, or nil.
  private func contraction(_ start: Int, ignoringCase: Bool) -> Int? {
    guard scalars[start] == "'", start + 1 < end else { return nil }
    let first = folded(start + 1, ignoringCase)
    if first == "s" || first == "t" || first == "m" || first == "d" { return 2 }
    guard start + 2 < end else { return nil }
    let second = folded(start + 2, ignoringCase)
    switch (first, second) {
    case ("r", "e"), ("v", "e"), ("l", "l"): return 3
    default: return nil
    }
  }

  /// The character with its simple case folding; only U+017F folds to a letter used here
  /// besides ASCII (Unicode's CaseFolding.txt).
  private func folded(_ index: Int, _ ignoringCase: Bool) -> Unicode.Scalar {
    let scalar = scalars[index]
    guard ignoringCase else { return scalar }
    if scalar == "\u{17F}" { return "s" }
    if ("A"..."Z").contains(scalar) { return Unicode.Scalar(UInt8(scalar.value) + 0x20) }
    return scalar
  }

  private func isClass(_ kind: ScalarClass, _ index: Int) -> Bool {
    index < end && ScalarClass(scalars[index]) == kind
  }

  private func run(of kind: ScalarClass, from start: Int, limit: Int = .max) -> Int {
    var index = start
    while isClass(kind, index), index - start < limit { index += 1 }
    return index
  }

  private func whitespaceRun(_ start: Int) -> Int {
    var index = start
    while index < end, ScalarClass(scalars[index]).isWhitespace { index += 1 }
    return index
  }

  /// `\s*[\r\n]+`: past the last newline of the run of whitespace, or nil if it has none.
  private func lastNewlineOfRun(_ start: Int) -> Int? {
    var index = whitespaceRun(start)
    while index > start {
      if ScalarClass(scalars[index - 1]) == .newline { return index }
      index -= 1
    }
    return nil
  }

  /// `\s+(?!\S)|\s+`: leaves the last space of a run to the word behind it, unless it is the
  /// only one.
  private func whitespace(_ start: Int) -> Int {
    let stop = whitespaceRun(start)
    if stop == end || stop == start + 1 { return stop }
    return stop - 1
  }
}
