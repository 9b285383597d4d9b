/// Why a `tokenizer.json` cannot be used: the field, and what is wrong with its value.
package struct TokenizerError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The path of the field inside the file, such as `model.merges`.
  package let field: String
  /// What the field holds, and what would have been accepted.
  package let problem: String

  package init(field: String, problem: String) {
    self.field = field
    self.problem = problem
  }

  package var description: String { "tokenizer.json: \(field): \(problem)" }

  /// For a value that this tokenizer knows of but does not handle.
  static func unsupported(_ field: String, _ value: String) -> TokenizerError {
    TokenizerError(field: field, problem: "\(value) is not supported")
  }
}
