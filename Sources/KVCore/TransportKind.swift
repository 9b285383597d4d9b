/// How a link moves KV blocks; the cases are in the order in which they are preferred.
package enum TransportKind: String, Sendable, CaseIterable, CustomStringConvertible {
  /// Memory of the same node, mapped.
  case sharedMemory = "shm"
  /// READs by a device that both nodes have.
  case rdma
  /// Data connections, between nodes.
  case tcp

  /// Whether this is used rather than `other` where both can be.
  package func isPreferred(to other: TransportKind) -> Bool {
    self != other && Self.allCases.first { $0 == self || $0 == other } == self
  }

  /// The name in settings, reports and metrics.
  package var description: String { rawValue }
}
