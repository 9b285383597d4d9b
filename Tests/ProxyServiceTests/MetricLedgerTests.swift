import ControlProtocol
import KVCore
import ProxyService
import Testing

@Suite("Figures of engines that come and go")
struct MetricLedgerTests {
  private func families(count: Double, used: Double) -> [MetricFamily] {
    [
      MetricFamily(
        name: "baton_migrations_total", help: "", kind: .counter,
        samples: [.init(suffix: "", labels: [], value: count)]),
      MetricFamily(
        name: "baton_kv_blocks", help: "", kind: .gauge,
        samples: [.init(suffix: "", labels: [], value: used)]),
    ]
  }

  private func value(_ name: String, in families: [MetricFamily]) -> Double? {
    families.first { $0.name == name }?.samples.first?.value
  }

  @Test("A counter never falls when an engine dies and starts again, and its gauges go with it")
  func restart() throws {
    var ledger = MetricLedger()
    let engine = try EngineID("decode-0")
    let (first, second) = (Incarnation(1), Incarnation(2))
    ledger.update(engine, first, families(count: 21, used: 5))
    var collected = ledger.collect(live: [first])
    #expect(value("baton_migrations_total", in: collected) == 21)
    #expect(value("baton_kv_blocks", in: collected) == 5)

    collected = ledger.collect(live: [])
    #expect(value("baton_migrations_total", in: collected) == 21)
    #expect(value("baton_kv_blocks", in: collected) == nil)

    // It is back, but has not told of itself yet.
    #expect(value("baton_kv_blocks", in: ledger.collect(live: [second])) == nil)

    ledger.update(engine, second, families(count: 1, used: 0))
    collected = ledger.collect(live: [second])
    #expect(value("baton_migrations_total", in: collected) == 22)
    #expect(value("baton_kv_blocks", in: collected) == 0)
    ledger.update(engine, second, families(count: 3, used: 0))
    #expect(value("baton_migrations_total", in: ledger.collect(live: [second])) == 24)
  }

  @Test("An engine that is lost and found again is counted once")
  func reconnect() throws {
    var ledger = MetricLedger()
    let (engine, other) = (try EngineID("decode-0"), try EngineID("decode-1"))
    ledger.update(engine, Incarnation(1), families(count: 5, used: 0))
    ledger.update(other, Incarnation(2), families(count: 7, used: 0))
    #expect(value("baton_migrations_total", in: ledger.collect(live: [Incarnation(2)])) == 12)
    ledger.update(engine, Incarnation(1), families(count: 6, used: 0))
    let live = Set([Incarnation(1), Incarnation(2)])
    #expect(value("baton_migrations_total", in: ledger.collect(live: live)) == 13)
  }
}
