package import ControlProtocol
import Synchronization

/// A number that only grows.
package final class Counter: MetricInstrument {
  package static var kind: MetricFamily.Kind { .counter }

  private let count = Atomic<UInt64>(0)

  package init() {}

  package func add(_ amount: UInt64 = 1) { count.wrappingAdd(amount, ordering: .relaxed) }

  package var value: UInt64 { count.load(ordering: .relaxed) }

  package func samples(labels: [MetricFamily.Label]) -> [MetricFamily.Sample] {
    [MetricFamily.Sample(suffix: "", labels: labels, value: Double(value))]
  }
}
