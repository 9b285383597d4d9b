import BatonRuntime
package import ControlProtocol
package import KVCore

/// What the engines have counted, so that counters do not fall when an engine dies.
///
/// Each start of an engine counts from 0. What one had counted when it was asked last stays in the
/// sums when another start takes its place, and its gauges say nothing while it is not reached.
package struct MetricLedger: Sendable {
  /// The last start of each engine.
  private var current: [EngineID: (incarnation: Incarnation, families: [MetricFamily])] = [:]
  /// The sums of the starts before.
  private var departed: [MetricFamily] = []

  package init() {}

  /// Takes what one start of an engine has counted by now.
  package mutating func update(
    _ engine: EngineID, _ incarnation: Incarnation, _ families: [MetricFamily]
  ) {
    if let last = current[engine], last.incarnation != incarnation {
      departed = MetricFamily.merged([departed, Self.counted(last.families)])
    }
    current[engine] = (incarnation, families)
  }

  /// The figures of the engines whose last start is live, and the sums of those that are not.
  package func collect(live: Set<Incarnation>) -> [MetricFamily] {
    MetricFamily.merged(
      [departed]
        + current.values.map { last in
          live.contains(last.incarnation) ? last.families : Self.counted(last.families)
        })
  }

  private static func counted(_ families: [MetricFamily]) -> [MetricFamily] {
    families.filter { $0.kind != .gauge }
  }
}
