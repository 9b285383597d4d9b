import ControlProtocol
import ControlTransport
import KVCore
import Logging

/// One client request on its way through the fleet, over as many attempts as it takes.
///
/// The run knows the prompt and every token delivered, so an attempt that fails is followed by one
/// that reads both and goes on with the next token; the client notices nothing.
struct GenerationRun {
  let request: GenerationRequest
  let fleet: Fleet
  let logger: Logger
  let deliver: @Sendable (GenerationEvent) -> Void

  private var assembler = AnswerAssembler()
  private var report = GenerationReport(prefillEngine: "", decodeEngine: "", attempts: 0)

  init(
    request: GenerationRequest, fleet: Fleet, logger: Logger,
    deliver: @escaping @Sendable (GenerationEvent) -> Void
  ) {
    self.request = request
    self.fleet = fleet
    self.logger = logger
    self.deliver = deliver
  }

  /// Runs to the end of the answer; throws what the client should be told.
  mutating func run() async throws {
    var failed: Set<Int> = []
    var retries = RetryPolicy()
    for attempt in 0... {
      let route = try await fleet.route(avoiding: failed)
      do {
        defer { fleet.finish(route) }
        let finish = try await run(attempt: attempt, over: route)
        deliver(.finished(finish, report))
        return
      } catch {
        try Task.checkCancellation()
        var error = BatonError(wrapping: error)
        if error.code == .cancelled {
          // The client did not cancel, so an engine gave up.
          error = BatonError(.unavailable, "an engine cancelled the request: \(error.message)")
        }
        let pause = retries.pause(
          after: error, delivered: assembler.delivered.count, now: .now)
        guard let pause else { throw error }
        logger.warning(
          "attempt failed, starting again",
          metadata: [
            "request": "\(request.id)", "attempt": "\(attempt + 1)", "error": "\(error)",
            "delivered": "\(assembler.delivered.count)",
          ])
        failed.formUnion(route.members)
        assembler.restart()
        // One engine may tell of another's death before our own connection to that one ends.
        try await Task.sleep(for: pause)
      }
    }
  }

  private mutating func run(attempt: Int, over route: Route) async throws -> FinishReason {
    report.attempts = UInt32(attempt + 1)
    (report.prefillEngine, report.decodeEngine) = route.engineNames
    deliver(.progress(report))
    let base = assembler.delivered.count
    var sampling = request.sampling
    sampling.maximumTokens -= UInt32(base)
    let tokens = request.promptTokens + assembler.delivered
    let (events, continuation) = AsyncThrowingStream<LegEvent, any Error>.makeStream()
    return try await withThrowingTaskGroup(of: Void.self) { group in
      defer { group.cancelAll() }
      switch route.kind {
      case .pair(let prefill, _):
        let leg = Leg(connection: prefill.connection, events: continuation)
        let message = Message.prefillRequest(
          PrefillRequest(
            request: request.id, attempt: UInt32(attempt), tokens: tokens, sampling: sampling))
        group.addTask { await leg.run(message) }
      case .hybrid(let hybrid):
        let leg = Leg(connection: hybrid.connection, events: continuation)
        let message = Message.generateRequest(
          GenerateRequest(
            request: request.id, attempt: UInt32(attempt), tokens: tokens, sampling: sampling))
        group.addTask { await leg.run(message) }
      }
      for try await event in events {
        if case .accepted(let ticket) = event, case .pair(_, let decode) = route.kind {
          let leg = Leg(connection: decode.connection, events: continuation)
          let message = Message.decodeRequest(
            DecodeRequest(
              request: request.id, attempt: UInt32(attempt), ticket: ticket, sampling: sampling))
          group.addTask { await leg.run(message) }
        }
        try take(event, base: base)
        if let finish = assembler.finish { return finish }
      }
      throw CancellationError()
    }
  }

  private mutating func take(_ event: LegEvent, base: Int) throws(BatonError) {
    let ready: [TokenID]
    switch event {
    case .accepted:
      return
    case .prefilled(let done):
      report.queuedMicroseconds = (report.queuedMicroseconds ?? 0) + done.queuedMicroseconds
      report.prefillMicroseconds = (report.prefillMicroseconds ?? 0) + done.computedMicroseconds
      deliver(.progress(report))
      ready = assembler.accept(
        firstIndex: base, tokens: done.firstToken.map { [$0] } ?? [], finish: done.finish)
    case .chunk(let chunk):
      if let migration = chunk.migration {
        report.migration = migration
        deliver(.progress(report))
      }
      ready = assembler.accept(
        firstIndex: base + Int(chunk.firstIndex), tokens: chunk.tokens, finish: chunk.finish)
    }
    guard assembler.delivered.count <= Int(request.sampling.maximumTokens) else {
      throw BatonError(.protocolViolation, "an engine wrote more tokens than were asked for")
    }
    if !ready.isEmpty { deliver(.tokens(ready)) }
  }
}
