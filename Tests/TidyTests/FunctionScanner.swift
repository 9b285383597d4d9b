/// Finds functions by their indentation, which the formatter keeps: a line with `func`, `init` or
/// `deinit` that opens a brace ends at the next line that closes one in the same column.
enum FunctionScanner {
  struct Function: Equatable {
    let line: Int
    let lineCount: Int
  }

  static func functions(of text: String) -> [Function] {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    var found: [Function] = []
    for (index, line) in lines.enumerated() where isHead(line) {
      let indent = line.prefix { $0 == " " }
      let close = indent + "}"
      guard
        let end = lines[(index + 1)...].firstIndex(where: { $0 == close || $0.hasPrefix(close) })
      else { continue }
      found.append(Function(line: index + 1, lineCount: end - index + 1))
    }
    return found
  }

  private static func isHead(_ line: Substring) -> Bool {
    let words = line.split(separator: " ").prefix { $0 != "=" && !$0.hasPrefix("//") }
    return words.contains { $0 == "func" || $0.hasPrefix("init(") || $0 == "deinit" }
      && !line.hasSuffix("}")
  }
}
