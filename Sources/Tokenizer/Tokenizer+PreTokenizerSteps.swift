extension Tokenizer {
  /// The steps of `pre_tokenizer`: `ByteLevel`, alone or last in a `Sequence` with `Split`,
  /// `Digits` before it.
  static func steps(
    _ component: TokenizerFile.Component?
  ) throws(TokenizerError) -> [PreTokenizer.Step] {
    guard let component else { throw .unsupported("pre_tokenizer", "null") }
    let isSequence = component.type == "Sequence"
    let components = isSequence ? component.pretokenizers ?? [] : [component]
    let field = isSequence ? "pre_tokenizer.pretokenizers" : "pre_tokenizer"
    guard components.count <= TokenizerLimits.maximumSequenceSteps else {
      throw .unsupported(field, "a list of \(components.count)")
    }
    // Behind `ByteLevel`, the text is in its alphabet, which other steps would see.
    guard let last = components.last, last.type == "ByteLevel" else {
      throw TokenizerError(field: field, problem: "must end with ByteLevel")
    }
    var steps: [PreTokenizer.Step] = []
    for component in components.dropLast() { steps.append(try step(component, field)) }
    // The defaults are those of the crate: a missing `use_regex` means true.
    if last.add_prefix_space == true { steps.append(.prefixSpace) }
    if last.use_regex != false { steps.append(.split(.gpt2)) }
    return steps
  }

  private static func step(
    _ component: TokenizerFile.Component, _ field: String
  ) throws(TokenizerError) -> PreTokenizer.Step {
    switch component.type {
    case "Digits":
      return .digits(individually: component.individual_digits == true)
    case "Split":
      return .split(try pattern(component, field))
    default:
      throw .unsupported("\(field).type", component.type)
    }
  }

  private static func pattern(
    _ component: TokenizerFile.Component, _ field: String
  ) throws(TokenizerError) -> WordPattern {
    let text = component.pattern?.Regex ?? component.pattern?.String ?? ""
    let known = WordPattern.allCases.first { $0.expression == component.pattern?.Regex }
    guard let known else { throw .unsupported("\(field).pattern", "\"\(text)\"") }
    switch (component.behavior, component.invert ?? false) {
    case ("Isolated", _), ("Removed", true):
      return known
    case (let behavior, let invert):
      let value = "\(behavior ?? "null") with invert \(invert)"
      throw .unsupported("\(field).behavior", value)
    }
  }
}
