/// What decode does with a sequence's KV blocks that lie in a prefill engine's shared memory.
package enum HandoffMode: String, Sendable, CaseIterable, CustomStringConvertible {
  /// Reads them in place.
  case borrow
  /// Copies them into its own pool before the first step.
  case copy

  /// The spelling of `--handoff`, also used in reports and metrics.
  package var description: String { rawValue }
}
