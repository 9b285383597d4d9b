import BatonRuntime
import ControlProtocol
import KVCore
import Testing

@Suite("Metrics") struct MetricsTests {
  private typealias Sample = MetricFamily.Sample

  @Test("are written as Prometheus reads them, with what must be escaped escaped")
  func exposition() {
    let family = MetricFamily(
      name: "baton_kv_blocks", help: "Blocks \\ by\nstate.", kind: .gauge,
      samples: [
        Sample(
          suffix: "", labels: [.init(name: "engine", value: "a\"b\\c\nd")], value: 12),
        Sample(suffix: "", labels: [], value: 0.5),
      ])
    #expect(
      MetricExposition.text([family]) == """
        # HELP baton_kv_blocks Blocks \\\\ by\\nstate.
        # TYPE baton_kv_blocks gauge
        baton_kv_blocks{engine="a\\"b\\\\c\\nd"} 12
        baton_kv_blocks 0.5

        """)
  }

  @Test(
    "write numbers as Prometheus reads them",
    arguments: [
      (0.0, "0"), (1e15, "1000000000000000"), (0.0025, "0.0025"), (-1.5, "-1.5"),
      (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
    ])
  func numbers(value: Double, text: String) {
    #expect(MetricExposition.number(value) == text)
  }

  @Test("count values into cumulative buckets, a bound belonging to its own")
  func histogram() {
    let histogram = Histogram(bounds: [1, 2])
    for value in [0.5, 1, 1.5, 2, 3] { histogram.observe(value) }
    let samples = histogram.samples(labels: [])
    #expect(samples.map(\.suffix) == ["_bucket", "_bucket", "_bucket", "_sum", "_count"])
    #expect(samples.map(\.value) == [2, 4, 5, 8, 5])
    #expect(samples.prefix(3).map { $0.labels[0].value } == ["1", "2", "+Inf"])
  }

  @Test("count from several threads without losing any")
  func concurrency() async {
    let counter = Counter()
    let histogram = Histogram(bounds: [1])
    await withTaskGroup { group in
      for _ in 0..<8 {
        group.addTask {
          for _ in 0..<1_000 {
            counter.add()
            histogram.observe(0.5)
          }
        }
      }
    }
    #expect(counter.value == 8_000)
    #expect(histogram.samples(labels: []).last?.value == 8_000)
  }

  @Test("keep one series for each combination of labels, sorted")
  func labels() {
    let vector = MetricVector(name: "n", help: "h", labelNames: ["x", "y"]) { Counter() }
    vector.with("b", "1").add(2)
    vector.with("a", "2").add(3)
    vector.with("b", "1").add(4)
    let family = vector.collect()
    #expect(family.samples.map(\.value) == [3, 6])
    #expect(family.samples[0].labels.map(\.value) == ["a", "2"])
    #expect(family.samples[0].labels.map(\.name) == ["x", "y"])
  }

  @Test("of several processes have one family for each name, with equal series summed")
  func merge() {
    func family(_ name: String, _ kind: MetricFamily.Kind, _ values: [(String, Double)])
      -> MetricFamily
    {
      MetricFamily(
        name: name, help: "h", kind: kind,
        samples: values.map {
          Sample(suffix: "", labels: [.init(name: "l", value: $0.0)], value: $0.1)
        })
    }
    let merged = MetricFamily.merged([
      [family("a", .counter, [("x", 1), ("y", 2)])],
      [family("b", .gauge, [("x", 5)]), family("a", .counter, [("y", 10), ("z", 20)])],
      [family("a", .gauge, [("x", 100)])],
    ])
    #expect(
      merged == [
        family("a", .counter, [("x", 1), ("y", 12), ("z", 20)]), family("b", .gauge, [("x", 5)]),
      ])
  }

  @Test("of a process are the seven families of Baton, once they have counted something")
  func families() throws {
    let metrics = BatonMetrics()
    #expect(metrics.collect().isEmpty)
    metrics.requests.with("ok").add()
    metrics.timeToFirstToken.with().observe(0.01)
    metrics.record(
      MigrationReport(transport: "shm", mode: "copy", blocks: 3, bytes: 4_096, microseconds: 70),
      overlap: 0.75)
    metrics.recordFailedMigration(transport: "shm", mode: .borrow, code: .staleBlock)
    metrics.kvBlocks.with("prefill-0", "free").set(9)
    let text = MetricExposition.text(metrics.collect())
    for line in [
      #"baton_requests_total{outcome="ok"} 1"#,
      #"baton_time_to_first_token_seconds_count 1"#,
      #"baton_migrations_total{transport="shm",mode="copy",result="ok"} 1"#,
      #"baton_migrations_total{transport="shm",mode="borrow",result="stale_block"} 1"#,
      #"baton_migration_seconds_bucket{transport="shm",mode="copy",le="0.0001"} 1"#,
      #"baton_migration_bytes_total{transport="shm"} 4096"#,
      #"baton_migration_overlap_ratio_bucket{transport="shm",le="0.7"} 0"#,
      #"baton_migration_overlap_ratio_bucket{transport="shm",le="0.8"} 1"#,
      #"baton_kv_blocks{engine="prefill-0",state="free"} 9"#,
    ] {
      #expect(text.contains(line + "\n"), "\(line)")
    }
  }
}
