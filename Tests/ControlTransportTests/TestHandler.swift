import ControlProtocol
import ControlTransport
import KVCore
import Synchronization

/// Answers each kind of request in the way that a test needs.
///
/// metricsRequest: the number of requests so far. prefillRequest: the tokens, sent back in one
/// chunk. generateRequest: a chunk for each token. modelAssetsRequest: never, until cancelled.
/// decodeRequest and linkPrepare: returns without an answer. leaseRelease: an error.
final class TestHandler: ControlHandler {
  enum Event: Hashable, Sendable {
    case closed(String)
    case started
    case cancelled
  }

  let events: AsyncStream<Event>
  private let recorder: AsyncStream<Event>.Continuation
  private let requests = Atomic<Int>(0)

  init() { (events, recorder) = AsyncStream.makeStream(of: Event.self) }

  /// Waits for an event; others before it are skipped.
  func wait(for event: Event) async {
    for await each in events where each == event { return }
  }

  func connectionClosed(_ connection: ControlConnection) {
    recorder.yield(.closed(connection.remote.engine.name))
  }

  func handle(
    _ message: Message, from connection: ControlConnection, reply: ReplyWriter
  ) async {
    let count = requests.add(1, ordering: .relaxed).newValue
    switch message {
    case .metricsRequest:
      let sample = MetricFamily.Sample(suffix: "", labels: [], value: Double(count))
      let family = MetricFamily(
        name: "requests", help: "", kind: .counter, samples: [sample])
      reply.send(.metricsReply([family]), last: true)
    case .prefillRequest(let request):
      reply.send(Self.chunk(0, request.tokens), last: true)
    case .generateRequest(let request):
      for (index, token) in request.tokens.enumerated() {
        reply.send(
          Self.chunk(index, [token]), last: index == request.tokens.count - 1)
      }
    case .modelAssetsRequest:
      recorder.yield(.started)
      // Nothing is ever yielded: only cancellation ends the waiting.
      let (never, _) = AsyncStream.makeStream(of: Void.self)
      await withTaskCancellationHandler {
        for await _ in never {}
      } onCancel: {
        recorder.yield(.cancelled)
      }
    case .leaseRelease:
      reply.fail(
        BatonError(.ticketUnknown, "no such ticket", retryAfterMilliseconds: 250))
    case .linkPrepare:
      do {
        reply.send(try await connection.request(.metricsRequest), last: true)
      } catch {
        reply.fail(BatonError(wrapping: error))
      }
    default:
      return
    }
  }

  static func chunk(_ index: Int, _ tokens: [TokenID]) -> Message {
    .tokenChunk(
      TokenChunk(firstIndex: UInt32(index), tokens: tokens, finish: nil, migration: nil))
  }

  static func sampling() -> SamplingParameters {
    SamplingParameters(temperature: 0, seed: 0, maximumTokens: 1, ignoresEndTokens: false)
  }

  static func prefill(_ tokens: [TokenID]) -> Message {
    .prefillRequest(
      PrefillRequest(
        request: RequestID("r"), attempt: 0, tokens: tokens, sampling: sampling()))
  }

  static func generate(_ tokens: [TokenID]) -> Message {
    .generateRequest(
      GenerateRequest(
        request: RequestID("r"), attempt: 0, tokens: tokens, sampling: sampling()))
  }
}
