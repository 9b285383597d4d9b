import BatonRuntime
import ControlProtocol
import KVCore
import Logging
import NIOCore

/// One completion on its way: reads what the backend generates and writes the answer to a pipe.
struct CompletionRun {
  private let completion: PreparedCompletion
  private let encoder: CompletionEncoder
  private let arrival: ContinuousClock.Instant
  private let metrics: BatonMetrics
  private let pipe: AnswerPipe
  private var answer: StreamedAnswer
  private var report: GenerationReport?
  private var firstToken: Duration?
  /// What is not written yet: all of an answer that goes out in one piece.
  private var piece: CompletionEncoder.Piece

  init(
    _ completion: PreparedCompletion, createdSeconds: Int64, arrival: ContinuousClock.Instant,
    metrics: BatonMetrics, pipe: AnswerPipe
  ) {
    self.completion = completion
    self.arrival = arrival
    self.metrics = metrics
    self.pipe = pipe
    encoder = CompletionEncoder(
      id: completion.generation.id, createdSeconds: createdSeconds, model: completion.model.name,
      fingerprint: completion.model.fingerprint,
      includesUsage: completion.request.includesUsage)
    answer = StreamedAnswer(
      tokenizer: completion.model.tokenizer, stops: completion.request.stops)
    piece = CompletionEncoder.Piece(
      text: "", tokens: completion.request.returnsTokenIDs ? [] : nil)
  }

  /// Generates until the answer is complete, fails, or the task is cancelled.
  mutating func run(on backend: any GenerationBackend, logger: Logger) async {
    logger.info(
      "completion started",
      metadata: [
        "prompt_tokens": "\(completion.generation.promptTokens.count)",
        "max_tokens": "\(completion.generation.sampling.maximumTokens)",
        "stream": "\(completion.request.streams)",
      ])
    // Counted before the client has its answer, so that it finds itself in the figures.
    do {
      let reason = try await generate(on: backend)
      metrics.requests.with(RequestOutcome.ok.rawValue).add()
      complete(reason)
      log(.ok, failure: nil, logger: logger)
    } catch {
      let cause = BatonError(wrapping: error)
      let isCancelled = Task.isCancelled || cause.code == .cancelled
      // The server that stops has told the client already.
      let failure = isCancelled ? pipe.failure : APIError(cause)
      let outcome = failure?.outcome ?? .cancelled
      metrics.requests.with(outcome.rawValue).add()
      if isCancelled { pipe.abort() } else { pipe.fail(APIError(cause)) }
      let reason = isCancelled ? failure?.message : nil
      log(outcome, failure: reason ?? cause.description, logger: logger)
    }
  }

  /// Returns when the answer is whole, by the engines' word or at a stop string; the stream is
  /// then dropped, which cancels what is still running.
  private mutating func generate(on backend: any GenerationBackend) async throws -> FinishReason {
    for try await event in backend.generate(completion.generation) {
      switch event {
      case .progress(let report):
        self.report = report
      case .tokens(let tokens):
        if firstToken == nil {
          let elapsed = ContinuousClock.now - arrival
          firstToken = elapsed
          metrics.timeToFirstToken.with().observe(elapsed / .seconds(1))
        }
        deliver(tokens)
        if answer.isStopped { return .stop }
      case .finished(let reason, let report):
        self.report = report
        return reason
      }
    }
    try Task.checkCancellation()
    throw BatonError(.internalError, "the engines ended the answer without a finish reason")
  }

  private mutating func deliver(_ tokens: [TokenID]) {
    let taken = answer.tokenCount
    piece.text += answer.append(tokens)
    piece.tokens?.append(contentsOf: tokens.prefix(answer.tokenCount - taken))
    let isEmpty = piece.text.isEmpty && piece.tokens?.isEmpty != false
    guard completion.request.streams, !isEmpty else { return }
    pipe.append(encoder.chunk(piece))
    piece = CompletionEncoder.Piece(text: "", tokens: piece.tokens.map { _ in [] })
  }

  private mutating func complete(_ reason: FinishReason) {
    piece.text += answer.finish()
    let ending = CompletionEncoder.Ending(
      reason: answer.isStopped ? .stop : reason,
      usage: CompletionEncoder.Usage(
        promptTokens: completion.generation.promptTokens.count,
        completionTokens: answer.tokenCount),
      report: report, firstTokenMicroseconds: firstToken?.wholeMicroseconds,
      totalMicroseconds: (ContinuousClock.now - arrival).wholeMicroseconds)
    pipe.append(
      completion.request.streams
        ? encoder.lastChunks(piece, ending: ending)
        : encoder.response(piece, ending: ending))
    pipe.finish()
  }

  private func log(_ outcome: RequestOutcome, failure: String?, logger: Logger) {
    var metadata: Logger.Metadata = [
      "outcome": "\(outcome.rawValue)",
      "completion_tokens": "\(answer.tokenCount)",
      "total_ms": "\((ContinuousClock.now - arrival).wholeMilliseconds)",
    ]
    if let firstToken { metadata["first_token_ms"] = "\(firstToken.wholeMilliseconds)" }
    if let report {
      metadata["prefill"] = "\(report.prefillEngine)"
      metadata["decode"] = "\(report.decodeEngine)"
      metadata["attempts"] = "\(report.attempts)"
    }
    if let failure { metadata["cause"] = "\(failure)" }
    logger.log(
      level: outcome == .error ? .error : .info, "completion ended", metadata: metadata)
  }
}
