import BatonRuntime
import ControlProtocol
import HTTPTypes
import HummingbirdCore
import KVCore
import Logging
import NIOCore

/// Answers the requests of all connections.
struct EdgeResponder: Sendable {
  let backend: any GenerationBackend
  let admission: Admission
  let running: RunningAnswers
  let stallTime: Duration
  let unreadBytes: Int
  let metrics: BatonMetrics
  let logger: Logger

  /// Writes the response to `request` to `writer`.
  ///
  /// Throws where the response cannot be completed; the connection is then closed.
  @concurrent
  func respond(
    to request: Request, writer: consuming ResponseWriter, channel: any Channel
  ) async throws {
    let arrival = ContinuousClock.now
    /// Nil for a completion, whose answer is not known as a whole.
    let reply: EdgeReply?
    do throws(APIError) {
      switch try EdgeRoute.matching(method: request.method, path: request.uri.path) {
      case .completions: reply = nil
      case .models: reply = .json(ModelList.json(backend.models()))
      case .model(let name): reply = .json(ModelList.json(try backend.model(named: name)))
      case .health: reply = .text("ok\n")
      case .readiness: reply = readiness()
      case .metrics: reply = await exposition()
      }
    } catch {
      reply = EdgeReply(error)
    }
    if let reply {
      try await reply.write(to: writer, includesBody: request.method != .head)
    } else {
      try await complete(request, arrival: arrival, writer: writer, channel: channel)
    }
  }

  private func readiness() -> EdgeReply {
    switch backend.readiness {
    case .ready: .text("ready\n")
    case .notReady(let reason): .text(reason + "\n", status: .serviceUnavailable)
    }
  }

  private func exposition() async -> EdgeReply {
    let families = MetricFamily.merged([metrics.collect(), await backend.metricFamilies()])
    return EdgeReply(
      status: .ok, contentType: MetricExposition.contentType,
      body: ByteBuffer(string: MetricExposition.text(families)))
  }
}
