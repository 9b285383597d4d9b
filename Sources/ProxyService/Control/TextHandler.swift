import BatonRuntime
import ControlProtocol
import ControlTransport
import KVCore
import Logging

/// Answers `TextRequest` on the proxy's control connections as the HTTP edge answers completions:
/// the same checks, the same limit, the same figures.
struct TextHandler: ControlHandler {
  let backend: any GenerationBackend
  let admission: Admission
  let metrics: BatonMetrics
  let logger: Logger

  func handle(
    _ message: Message, from connection: ControlConnection, reply: ReplyWriter
  ) async {
    guard case .textRequest(let request) = message else {
      reply.fail(BatonError(.unimplemented, "a proxy answers TextRequest only"))
      return
    }
    let arrival = ContinuousClock.now
    var logger = logger
    let id = RequestID.random()
    logger[metadataKey: "request"] = "\(id)"
    do {
      guard admission.enter() else { throw APIError.tooManyRequests(limit: admission.limit) }
      defer { admission.leave() }
      try await complete(try await prepare(request, id: id), arrival: arrival, reply: reply)
      metrics.requests.with(RequestOutcome.ok.rawValue).add()
      logger.info("text completed", metadata: ["client": "\(connection.remote.engine)"])
    } catch {
      let error = BatonError(telling: error)
      let outcome = error.code == .cancelled ? .cancelled : APIError(error).outcome
      metrics.requests.with(outcome.rawValue).add()
      logger.info("text not completed", metadata: ["cause": "\(error)"])
      reply.fail(error)
    }
  }

  /// Not on the event loop, where requests come in: a long text takes its time to tokenise.
  @concurrent
  private func prepare(
    _ request: TextRequest, id: RequestID
  ) async throws(APIError) -> PreparedCompletion {
    let model = try backend.model(named: request.model.isEmpty ? nil : request.model)
    var completion = CompletionRequest(model: model.name, prompt: .text(request.prompt))
    completion.maximumTokens = request.maximumTokens.map { Int($0) }
    completion.temperature = request.temperature
    completion.seed = request.seed
    completion.stops = request.stops
    completion.ignoresEndTokens = request.ignoresEndTokens
    return try PreparedCompletion(
      completion, id: id, model: model, seed: UInt64.random(in: 0...UInt64.max))
  }

  /// Sends the answer's text as it comes.
  private func complete(
    _ completion: PreparedCompletion, arrival: ContinuousClock.Instant, reply: ReplyWriter
  ) async throws {
    var answer = StreamedAnswer(
      tokenizer: completion.model.tokenizer, stops: completion.request.stops)
    var reason: FinishReason?
    for try await event in backend.generate(completion.generation) {
      switch event {
      case .progress: break
      case .tokens(let tokens):
        if answer.tokenCount == 0 {
          metrics.timeToFirstToken.with().observe((ContinuousClock.now - arrival) / .seconds(1))
        }
        let text = answer.append(tokens)
        if !text.isEmpty {
          await reply.sendWaiting(.textChunk(TextChunk(text: text, ending: nil)), last: false)
        }
        if answer.isStopped { reason = .stop }
      case .finished(let finish, _):
        reason = finish
      }
      // Letting go of the events cancels what still runs.
      if reason != nil { break }
    }
    try Task.checkCancellation()
    guard let reason else {
      throw BatonError(.internalError, "the engines ended the answer without a finish reason")
    }
    let rest = answer.finish()
    let ending = TextChunk.Ending(
      reason: answer.isStopped ? .stop : reason,
      promptTokens: UInt32(completion.generation.promptTokens.count),
      completionTokens: UInt32(answer.tokenCount))
    reply.send(.textChunk(TextChunk(text: rest, ending: ending)), last: true)
  }
}

extension BatonError {
  /// What a client of the protocol is told of an error of the edge.
  fileprivate init(telling error: any Error) {
    guard let error = error as? APIError else {
      self.init(wrapping: error)
      return
    }
    let code: ErrorCode =
      switch error.status {
      case 429: .resourceExhausted
      case 400..<500: .invalidArgument
      case 503: .unavailable
      case 504: .deadlineExceeded
      default: .internalError
      }
    self.init(
      code, error.message,
      retryAfterMilliseconds: error.retryAfterSeconds.map { UInt32($0) * 1_000 })
  }
}
