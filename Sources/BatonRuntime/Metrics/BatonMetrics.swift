package import ControlProtocol

/// Everything that a Baton process counts.
///
/// Every process has all of it and collects what it has counted; the proxy merges the families of
/// its engines into its own.
package struct BatonMetrics: Sendable {
  /// From half a millisecond to a minute, each bound about twice the one before.
  private static let requestSeconds = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
  ]
  /// From ten microseconds to ten seconds.
  private static let migrationSeconds = [
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1, 0.25, 0.5, 1, 2.5, 5, 10,
  ]

  private static let ratios = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]

  /// `baton_requests_total{outcome}`.
  package let requests: MetricVector<Counter>
  /// `baton_time_to_first_token_seconds`.
  package let timeToFirstToken: MetricVector<Histogram>
  /// `baton_migrations_total{transport,mode,result}`.
  package let migrations: MetricVector<Counter>
  /// `baton_migration_seconds{transport,mode}`.
  package let migrationDuration: MetricVector<Histogram>
  /// `baton_migration_bytes_total{transport}`.
  package let migrationBytes: MetricVector<Counter>
  /// `baton_migration_overlap_ratio{transport}`.
  package let migrationOverlap: MetricVector<Histogram>
  /// `baton_rdma_grants_total{protection}`.
  package let rdmaGrants: MetricVector<Counter>
  /// `baton_kv_blocks{engine,state}`.
  package let kvBlocks: MetricVector<Gauge>

  package init() {
    requests = MetricVector(
      name: "baton_requests_total", help: "Completion requests by how they ended.",
      labelNames: ["outcome"]
    ) { Counter() }
    timeToFirstToken = MetricVector(
      name: "baton_time_to_first_token_seconds",
      help: "From a request's arrival at the proxy to its first token.", labelNames: []
    ) { Histogram(bounds: Self.requestSeconds) }
    migrations = MetricVector(
      name: "baton_migrations_total", help: "Sequences handed from prefill to decode.",
      labelNames: ["transport", "mode", "result"]
    ) { Counter() }
    migrationDuration = MetricVector(
      name: "baton_migration_seconds",
      help: "From prefill's last progress in hand to usable KV.",
      labelNames: ["transport", "mode"]
    ) { Histogram(bounds: Self.migrationSeconds) }
    migrationBytes = MetricVector(
      name: "baton_migration_bytes_total", help: "Bytes of KV moved before the first step.",
      labelNames: ["transport"]
    ) { Counter() }
    migrationOverlap = MetricVector(
      name: "baton_migration_overlap_ratio",
      help: "Part of the time of a sequence's copies that passed while prefill was computing.",
      labelNames: ["transport"]
    ) { Histogram(bounds: Self.ratios) }
    rdmaGrants = MetricVector(
      name: "baton_rdma_grants_total",
      help:
        "Tickets whose blocks could be READ by RDMA, by what kept the rest of the pool from it.",
      labelNames: ["protection"]
    ) { Counter() }
    kvBlocks = MetricVector(
      name: "baton_kv_blocks", help: "KV blocks of an engine's pool by state.",
      labelNames: ["engine", "state"]
    ) { Gauge() }
  }

  /// Counts a migration that succeeded.
  ///
  /// - Parameter overlap: which part of the time that it took to copy passed while prefill was
  ///   computing; nil where nothing was copied then.
  package func record(_ report: MigrationReport, overlap: Double?) {
    migrations.with(report.transport, report.mode, "ok").add()
    migrationDuration.with(report.transport, report.mode)
      .observe(Double(report.microseconds) / 1e6)
    migrationBytes.with(report.transport).add(report.bytes)
    if let overlap { migrationOverlap.with(report.transport).observe(overlap) }
  }

  /// Counts a ticket whose blocks can be READ by RDMA.
  ///
  /// - Parameter protection: what keeps the rest of the pool from being read: `windows`, or `pool`
  ///   for nothing.
  package func recordGrant(protection: String) { rdmaGrants.with(protection).add() }

  /// What has been counted so far; families without a sample are left out.
  package func collect() -> [MetricFamily] {
    let sources: [any MetricSource] = [
      requests, timeToFirstToken, migrations, migrationDuration, migrationBytes,
      migrationOverlap, rdmaGrants, kvBlocks,
    ]
    return sources.map { $0.collect() }.filter { !$0.samples.isEmpty }
  }
}
