package import ControlProtocol
import Synchronization

/// A number that goes up and down.
package final class Gauge: MetricInstrument {
  package static var kind: MetricFamily.Kind { .gauge }

  private let bits = Atomic<UInt64>(Double.zero.bitPattern)

  package init() {}

  package var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

  package func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }

  package func samples(labels: [MetricFamily.Label]) -> [MetricFamily.Sample] {
    [MetricFamily.Sample(suffix: "", labels: labels, value: value)]
  }
}
