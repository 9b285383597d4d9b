import BatonRuntime
package import ControlProtocol
package import KVCore

/// What the engines have counted, so that counters do not fall when an engine dies.
///
/// Each start of an engine counts from 0. What the ones that are gone had counted when they were
/// asked last stays in the sums; their gauges say nothing any more.
package struct MetricLedger: Sendable {
  private var current: [Incarnation: [MetricFamily]] = [:]
  private var departed: [MetricFamily] = []

  package init() {}

  /// Takes what one start of an engine has counted by now.
  package mutating func update(_ incarnation: Incarnation, _ families: [MetricFamily]) {
    current[incarnation] = families
  }

  /// The figures of the engines that are live, and the sums of those that are not.
  package mutating func collect(live: Set<Incarnation>) -> [MetricFamily] {
    for (incarnation, families) in current where !live.contains(incarnation) {
      departed = MetricFamily.merged([departed, families.filter { $0.kind != .gauge }])
      current[incarnation] = nil
    }
    return MetricFamily.merged([departed] + current.values)
  }
}
