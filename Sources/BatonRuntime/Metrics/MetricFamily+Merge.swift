package import ControlProtocol

extension MetricFamily {
  /// One series of a family.
  private struct SeriesKey: Hashable {
    let suffix: String
    let labels: [Label]
  }

  /// The families of several processes as one list, in the order in which names first come.
  ///
  /// Samples with equal labels are summed, which is right for counters and for histograms whose
  /// buckets are equal; gauges carry the engine's name as a label and stay apart. A family whose
  /// kind differs from the first of its name, from a process of another version, is left out.
  package static func merged(_ lists: [[MetricFamily]]) -> [MetricFamily] {
    var merged: [MetricFamily] = []
    var positions: [String: Int] = [:]
    for family in lists.joined() {
      if let position = positions[family.name] {
        guard merged[position].kind == family.kind else { continue }
        merged[position].add(family.samples)
      } else {
        positions[family.name] = merged.count
        merged.append(family)
      }
    }
    return merged
  }

  private mutating func add(_ added: [Sample]) {
    var positions: [SeriesKey: Int] = [:]
    for (position, sample) in samples.enumerated() {
      positions[SeriesKey(suffix: sample.suffix, labels: sample.labels)] = position
    }
    for sample in added {
      if let position = positions[SeriesKey(suffix: sample.suffix, labels: sample.labels)] {
        samples[position].value += sample.value
      } else {
        samples.append(sample)
      }
    }
  }
}
