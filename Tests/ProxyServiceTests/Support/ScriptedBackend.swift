import ControlProtocol
import KVCore
import ProxyService
import Synchronization

/// A fleet that does what a test says, and tells what was asked of it.
final class ScriptedBackend: GenerationBackend {
  typealias Continuation = AsyncThrowingStream<GenerationEvent, any Error>.Continuation

  private let served: [ServedModel]
  private let script: @Sendable (GenerationRequest, Continuation) -> Void
  private let currentReadiness: Mutex<Readiness>
  /// One element for each request that was started.
  let requests: AsyncStream<GenerationRequest>
  /// One element for each request that ended before its script ended it.
  let cancellations: AsyncStream<RequestID>
  private let requestContinuation: AsyncStream<GenerationRequest>.Continuation
  private let cancellationContinuation: AsyncStream<RequestID>.Continuation

  init(
    models: [ServedModel], readiness: Readiness = .ready,
    script: @escaping @Sendable (GenerationRequest, Continuation) -> Void
  ) {
    served = models
    self.script = script
    currentReadiness = Mutex(readiness)
    (requests, requestContinuation) = AsyncStream.makeStream()
    (cancellations, cancellationContinuation) = AsyncStream.makeStream()
  }

  var readiness: Readiness {
    get { currentReadiness.withLock { $0 } }
    set { currentReadiness.withLock { $0 = newValue } }
  }

  func models() -> [ServedModel] { served }

  func generate(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
    let (stream, continuation) = AsyncThrowingStream<GenerationEvent, any Error>.makeStream()
    continuation.onTermination = { [cancellationContinuation] reason in
      if case .cancelled = reason { cancellationContinuation.yield(request.id) }
    }
    requestContinuation.yield(request)
    script(request, continuation)
    return stream
  }

  func metricFamilies() async -> [MetricFamily] {
    [
      MetricFamily(
        name: "baton_kv_blocks", help: "h", kind: .gauge,
        samples: [.init(suffix: "", labels: [.init(name: "engine", value: "p")], value: 7)])
    ]
  }
}

extension GenerationReport {
  /// A hand-over of one block.
  static let handedOver = GenerationReport(
    prefillEngine: "prefill-0", decodeEngine: "decode-0",
    migration: MigrationReport(
      transport: "shm", mode: "borrow", blocks: 1, bytes: 0, microseconds: 42),
    queuedMicroseconds: 1, prefillMicroseconds: 2)
}
