/// What the post-processor puts around the tokens of a single text.
struct SequenceTemplate {
  var prefix: [Int32] = []
  var suffix: [Int32] = []

  /// From `post_processor`: `TemplateProcessing`, `ByteLevel` (which moves offsets only) or a
  /// `Sequence` of them, each around the result of the one before.
  init(_ component: TokenizerFile.Component?) throws(TokenizerError) {
    guard let component else { return }
    guard component.type == "Sequence" else {
      try wrap(component)
      return
    }
    let processors = component.processors ?? []
    guard processors.count <= TokenizerLimits.maximumSequenceSteps else {
      throw .unsupported("post_processor.processors", "a list of \(processors.count)")
    }
    for processor in processors { try wrap(processor) }
  }

  private mutating func wrap(_ component: TokenizerFile.Component) throws(TokenizerError) {
    switch component.type {
    case "ByteLevel": return
    case "TemplateProcessing": break
    default: throw .unsupported("post_processor.type", component.type)
    }
    var before: [Int32] = []
    var behind: [Int32] = []
    var seenText = false
    for piece in component.single ?? [] {
      if let sequence = piece.Sequence {
        guard sequence.id == "A", !seenText else {
          throw .unsupported("post_processor.single", "sequence \(sequence.id) here")
        }
        seenText = true
      } else if let token = piece.SpecialToken {
        let ids = try Self.ids(of: token.id, component)
        if seenText { behind += ids } else { before += ids }
      }
    }
    guard seenText else {
      throw TokenizerError(field: "post_processor.single", problem: "has no sequence A")
    }
    prefix = before + prefix
    suffix += behind
  }

  private static func ids(
    of name: String, _ component: TokenizerFile.Component
  ) throws(TokenizerError) -> [Int32] {
    guard let token = component.special_tokens?[name] else {
      throw TokenizerError(field: "post_processor.special_tokens", problem: "lacks \(name)")
    }
    var ids: [Int32] = []
    for id in token.ids {
      ids.append(try Tokenizer.checkedToken(id, "post_processor.special_tokens"))
    }
    return ids
  }
}
