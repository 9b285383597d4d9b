package import ControlProtocol
import ControlTransport
import BatonRuntime
import KVCore
package import Logging
import Synchronization

/// The fleet as the edge sees it.
package final class FleetBackend: GenerationBackend {
  private let fleet: Fleet
  private let ledger = Mutex(MetricLedger())
  private let logger: Logger

  package init(fleet: Fleet, logger: Logger) {
    self.fleet = fleet
    self.logger = logger
  }

  package var readiness: Readiness { fleet.readiness }

  package func models() -> [ServedModel] { fleet.model.map { [$0] } ?? [] }

  package func generate(
    _ request: GenerationRequest
  ) -> AsyncThrowingStream<GenerationEvent, any Error> {
    let (events, continuation) = AsyncThrowingStream<GenerationEvent, any Error>.makeStream()
    let task = Task { [fleet, logger] in
      var run = GenerationRun(request: request, fleet: fleet, logger: logger) { event in
        continuation.yield(event)
      }
      do {
        try await run.run()
        continuation.finish()
      } catch {
        continuation.finish(throwing: BatonError(wrapping: error))
      }
    }
    continuation.onTermination = { _ in task.cancel() }
    return events
  }

  package func metricFamilies() async -> [MetricFamily] {
    let answers = await withTaskGroup(of: (Hello, [MetricFamily]?).self) { group in
      for connection in fleet.connections {
        group.addTask { (connection.remote, await Self.metrics(of: connection)) }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    let live = fleet.connections.map(\.remote)
    return ledger.withLock { ledger in
      // An answer that is older than another start of its engine would be taken for a newer one.
      for case (let engine, let families?) in answers where live.contains(engine) {
        ledger.update(engine.engine, engine.incarnation, families)
      }
      return ledger.collect(live: Set(live.map(\.incarnation)))
    }
  }

  /// Nil for an engine that does not answer in time: what it had counted before stands.
  private static func metrics(of connection: ControlConnection) async -> [MetricFamily]? {
    let limit = Duration.milliseconds(ProxyLimits.metricsWaitMilliseconds)
    guard
      case .metricsReply(let families) = try? await connection.request(
        .metricsRequest, within: limit)
    else { return nil }
    return families
  }
}
