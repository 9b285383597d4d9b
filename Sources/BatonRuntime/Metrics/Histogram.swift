package import ControlProtocol
import Synchronization

/// How often values fell into each of a row of buckets.
package final class Histogram: MetricInstrument {
  package static var kind: MetricFamily.Kind { .histogram }

  private struct State {
    /// One per bound, then one for what lies above the last; not cumulative.
    var counts: [UInt64]
    var sum = 0.0
  }

  /// The largest value of each bucket, ascending.
  private let bounds: [Double]
  private let state: Mutex<State>

  package init(bounds: [Double]) {
    precondition(bounds == bounds.sorted(), "the bounds of a histogram ascend")
    self.bounds = bounds
    state = Mutex(State(counts: Array(repeating: 0, count: bounds.count + 1)))
  }

  package func observe(_ value: Double) {
    let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
    state.withLock { state in
      state.counts[bucket] += 1
      state.sum += value
    }
  }

  package func samples(labels: [MetricFamily.Label]) -> [MetricFamily.Sample] {
    let (counts, sum) = state.withLock { ($0.counts, $0.sum) }
    var samples: [MetricFamily.Sample] = []
    var cumulative: UInt64 = 0
    for (bucket, count) in counts.enumerated() {
      cumulative += count
      let bound = bucket < bounds.count ? bounds[bucket] : .infinity
      let label = MetricFamily.Label(name: "le", value: MetricExposition.number(bound))
      samples.append(
        MetricFamily.Sample(
          suffix: "_bucket", labels: labels + [label], value: Double(cumulative)))
    }
    samples.append(MetricFamily.Sample(suffix: "_sum", labels: labels, value: sum))
    samples.append(
      MetricFamily.Sample(suffix: "_count", labels: labels, value: Double(cumulative)))
    return samples
  }
}
