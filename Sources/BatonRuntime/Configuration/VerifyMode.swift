/// How decode verifies the KV blocks that it copies from a prefill engine.
package enum VerifyMode: String, Sendable, CaseIterable, CustomStringConvertible {
  /// By their stamps, and by checksums computed while they are copied.
  case full
  /// By their stamps alone: nobody reused them.
  case off

  /// The spelling of `--verify`.
  package var description: String { rawValue }
}
