package import ControlProtocol
import Synchronization

/// All instruments of one name, one for each combination of label values.
package final class MetricVector<Instrument: MetricInstrument>: Sendable {
  package let name: String
  package let help: String
  package let labelNames: [String]
  private let make: @Sendable () -> Instrument
  private let children = Mutex<[[String]: Instrument]>([:])

  package init(
    name: String, help: String, labelNames: [String],
    make: @escaping @Sendable () -> Instrument
  ) {
    self.name = name
    self.help = help
    self.labelNames = labelNames
    self.make = make
  }

  /// The instrument with these label values, in the order of `labelNames`; a caller that counts
  /// often keeps it.
  package func with(_ values: String...) -> Instrument {
    precondition(values.count == labelNames.count, "\(name) has the labels \(labelNames)")
    return children.withLock { children in
      if let child = children[values] { return child }
      let child = make()
      children[values] = child
      return child
    }
  }
}

/// What a registry needs of a vector, whatever its instruments.
package protocol MetricSource: Sendable {
  func collect() -> MetricFamily
}

extension MetricVector: MetricSource {
  package func collect() -> MetricFamily {
    let sorted = children.withLock { children in
      children.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    }
    let samples = sorted.flatMap { values, instrument in
      let labels = zip(labelNames, values).map { MetricFamily.Label(name: $0, value: $1) }
      return instrument.samples(labels: labels)
    }
    return MetricFamily(name: name, help: help, kind: Instrument.kind, samples: samples)
  }
}
