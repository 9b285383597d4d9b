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
    let connections = fleet.connections
    let answers = await withTaskGroup(of: (Incarnation, [MetricFamily]?).self) { group in
      for connection in connections {
        group.addTask { (connection.remote.incarnation, await Self.metrics(of: connection)) }
      }
      return await group.reduce(into: [Incarnation: [MetricFamily]]()) { $0[$1.0] = $1.1 }
    }
    return ledger.withLock { ledger in
      for (incarnation, families) in answers { ledger.update(incarnation, families) }
      return ledger.collect(live: Set(connections.map(\.remote.incarnation)))
    }
  }

  /// Nil for an engine that does not answer in time: what it had counted before stands.
  private static func metrics(of connection: ControlConnection) async -> [MetricFamily]? {
    await withTaskGroup(of: [MetricFamily]?.self) { group in
      group.addTask {
        guard case .metricsReply(let families) = try? await connection.request(.metricsRequest)
        else { return nil }
        return families
      }
      group.addTask {
        try? await Task.sleep(for: .milliseconds(ProxyLimits.metricsWaitMilliseconds))
        return nil
      }
      let first = await group.next() ?? nil
      group.cancelAll()
      return first
    }
  }
}
