internal import CBatonWire
internal import ControlProtocol
internal import KVCore

/// The payload of `Message.metricsReply`.
struct MetricsReply: @unsafe WireConvertible {
  var families: [MetricFamily]

  init(families: [MetricFamily]) { self.families = families }

  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__MetricsReply> {
    let wire = unsafe arena.make(baton__v1__metrics_reply__init)
    unsafe (wire.pointee.n_families, wire.pointee.families) = arena.list(families)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__MetricsReply>) throws(BatonError) {
    families = try unsafe Field.list(
      wire.pointee.n_families, wire.pointee.families, "MetricsReply.families",
      maximum: WireLimits.maximumMetricFamilies)
  }
}

extension MetricFamily: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__MetricFamily> {
    let wire = unsafe arena.make(baton__v1__metric_family__init)
    unsafe wire.pointee.name = arena.text(name)
    unsafe wire.pointee.help = arena.text(help)
    unsafe wire.pointee.kind = Baton__V1__MetricKind(rawValue: UInt32(kind.rawValue))
    unsafe (wire.pointee.n_samples, wire.pointee.samples) = arena.list(samples)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__MetricFamily>) throws(BatonError) {
    self.init(
      name: try unsafe Field.text(wire.pointee.name, "MetricFamily.name"),
      help: try unsafe Field.text(wire.pointee.help, "MetricFamily.help"),
      kind: try unsafe Field.enumeration(wire.pointee.kind.rawValue, "MetricFamily.kind"),
      samples: try unsafe Field.list(
        wire.pointee.n_samples, wire.pointee.samples, "MetricFamily.samples",
        maximum: WireLimits.maximumSamplesPerFamily))
  }
}

extension MetricFamily.Sample: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__MetricSample> {
    let wire = unsafe arena.make(baton__v1__metric_sample__init)
    unsafe wire.pointee.suffix = arena.text(suffix)
    unsafe (wire.pointee.n_labels, wire.pointee.labels) = arena.list(labels)
    unsafe wire.pointee.value = value
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__MetricSample>) throws(BatonError) {
    self.init(
      suffix: try unsafe Field.text(wire.pointee.suffix, "MetricSample.suffix"),
      labels: try unsafe Field.list(
        wire.pointee.n_labels, wire.pointee.labels, "MetricSample.labels",
        maximum: WireLimits.maximumLabelsPerSample),
      value: unsafe wire.pointee.value)
  }
}

extension MetricFamily.Label: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__MetricLabel> {
    let wire = unsafe arena.make(baton__v1__metric_label__init)
    unsafe wire.pointee.name = arena.text(name)
    unsafe wire.pointee.value = arena.text(value)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__MetricLabel>) throws(BatonError) {
    self.init(
      name: try unsafe Field.text(wire.pointee.name, "MetricLabel.name"),
      value: try unsafe Field.text(wire.pointee.value, "MetricLabel.value"))
  }
}
