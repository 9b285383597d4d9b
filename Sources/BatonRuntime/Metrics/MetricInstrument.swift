package import ControlProtocol

/// One time series, or for a histogram its buckets' series, with fixed labels.
package protocol MetricInstrument: AnyObject, Sendable {
  static var kind: MetricFamily.Kind { get }
  /// What it counts now.
  func samples(labels: [MetricFamily.Label]) -> [MetricFamily.Sample]
}
