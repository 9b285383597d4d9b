package import KVCore

extension BatonMetrics {
  /// Counts a migration that failed; `result` is then the error's code, in lower case.
  package func recordFailedMigration(transport: String, mode: HandoffMode, code: ErrorCode) {
    migrations.with(transport, mode.description, code.description.lowercased()).add()
  }
}
