package import ControlProtocol

/// Prometheus' text format, version 0.0.4.
///
/// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
package enum MetricExposition {
  package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  /// The families one after the other, each with its HELP and TYPE.
  package static func text(_ families: [MetricFamily]) -> String {
    var text = ""
    for family in families {
      text += "# HELP \(family.name) \(escapedHelp(family.help))\n"
      text += "# TYPE \(family.name) \(family.kind.typeName)\n"
      for sample in family.samples {
        text += family.name + sample.suffix
        if !sample.labels.isEmpty {
          let labels = sample.labels.map { "\($0.name)=\"\(escapedLabel($0.value))\"" }
          text += "{" + labels.joined(separator: ",") + "}"
        }
        text += " \(number(sample.value))\n"
      }
    }
    return text
  }

  /// A value or a bucket's bound: whole numbers without a fraction, `+Inf`, `-Inf` and `NaN`.
  package static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
    return Int64(exactly: value).map { "\($0)" } ?? "\(value)"
  }

  private static func escapedHelp(_ text: String) -> String {
    text.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
  }

  private static func escapedLabel(_ text: String) -> String {
    escapedHelp(text).replacing("\"", with: "\\\"")
  }
}

extension MetricFamily.Kind {
  fileprivate var typeName: String {
    switch self {
    case .counter: "counter"
    case .gauge: "gauge"
    case .histogram: "histogram"
    }
  }
}
