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

  /// When the answer must be complete.
  private let deadline: ContinuousClock.Instant
  private var assembler = AnswerAssembler()
  /// Tokens that came from engines that had the KV: what prefill alone adds is no progress.
  private var decodedTokens = 0
  private var report = GenerationReport(prefillEngine: "", decodeEngine: "", attempts: 0)

  init(
    request: GenerationRequest, fleet: Fleet, logger: Logger,
    deliver: @escaping @Sendable (GenerationEvent) -> Void
  ) {
    self.request = request
    self.fleet = fleet
    self.logger = logger
    self.deliver = deliver
    deadline = .now + fleet.requestTimeout
  }

  /// Runs to the end of the answer; throws what the client should be told.
  mutating func run() async throws {
    var failed: Set<Int> = []
    var retries = RetryPolicy()
    for attempt in 0... {
      let route = try await fleet.route(avoiding: failed)
      guard route.legs.allSatisfy({ $0.modelFingerprint == request.modelFingerprint }) else {
        fleet.finish(route)
        // Its tokens mean something else there, so only the client can start again.
        throw BatonError(
          .incompatible, "the engines run another model than when the request came; send it again",
          isRetryable: true)
      }
      do {
        defer { fleet.finish(route) }
        let finish = try await run(attempt: attempt, over: route)
        deliver(.finished(finish, report))
        return
      } catch {
        try Task.checkCancellation()
        guard .now < deadline else {
          throw BatonError(
            .deadlineExceeded, "the answer was not complete after \(fleet.requestTimeout)",
            isRetryable: false)
        }
        var error = BatonError(wrapping: error)
        if error.code == .cancelled {
          // The client did not cancel, so an engine gave up.
          error = BatonError(.unavailable, "an engine cancelled the request: \(error.message)")
        }
        let pause = retries.pause(
          after: error, hasBegun: !assembler.delivered.isEmpty, progress: decodedTokens, now: .now)
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
    report.migration = nil
    deliver(.progress(report))
    let base = assembler.delivered.count
    var sampling = request.sampling
    sampling.maximumTokens -= UInt32(base)
    let tokens = request.promptTokens + assembler.delivered
    let (events, continuation) = AsyncThrowingStream<LegEvent, any Error>.makeStream()
    var machine = route.isPair ? AttemptMachine.asked : .hybrid
    return try await withThrowingTaskGroup(of: Void.self) { group in
      defer { group.cancelAll() }
      let first = firstLeg(
        of: route, attempt: attempt, tokens: tokens, sampling: sampling, events: continuation)
      group.addTask { [deadline] in await first.leg.run(first.message, by: deadline) }
      for try await event in events {
        let action = machine.on(event.kind)
        switch (action, event, route.kind) {
        case (.startDecode, .accepted(let ticket), .pair(_, let decode)):
          let leg = Leg(connection: decode.connection, events: continuation)
          let message = Message.decodeRequest(
            DecodeRequest(
              request: request.id, attempt: UInt32(attempt), ticket: ticket, sampling: sampling))
          group.addTask { [deadline] in await leg.run(message, by: deadline) }
        case (.take, _, _):
          try take(event, base: base)
        case (.violation, _, _):
          throw BatonError(.protocolViolation, "an engine sent \(event.kind) at a wrong time")
        default: break
        }
        if let finish = assembler.finish { return finish }
        if action == .exhausted {
          throw BatonError(.protocolViolation, "the engines left tokens of the answer out")
        }
      }
      throw CancellationError()
    }
  }

  /// Who reads the prompt, and what it is asked.
  private func firstLeg(
    of route: Route, attempt: Int, tokens: [TokenID], sampling: SamplingParameters,
    events: AsyncThrowingStream<LegEvent, any Error>.Continuation
  ) -> (leg: Leg, message: Message) {
    switch route.kind {
    case .pair(let prefill, _):
      let message = PrefillRequest(
        request: request.id, attempt: UInt32(attempt), tokens: tokens, sampling: sampling)
      return (Leg(connection: prefill.connection, events: events), .prefillRequest(message))
    case .hybrid(let hybrid):
      let message = GenerateRequest(
        request: request.id, attempt: UInt32(attempt), tokens: tokens, sampling: sampling)
      return (Leg(connection: hybrid.connection, events: events), .generateRequest(message))
    }
  }

  private mutating func take(_ event: LegEvent, base: Int) throws(BatonError) {
    let ready: [TokenID]
    switch event {
    case .accepted, .ended:
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
      decodedTokens += chunk.tokens.count
      ready = assembler.accept(
        firstIndex: base + Int(chunk.firstIndex), tokens: chunk.tokens, finish: chunk.finish)
    }
    guard assembler.delivered.count <= Int(request.sampling.maximumTokens) else {
      throw BatonError(.protocolViolation, "an engine wrote more tokens than were asked for")
    }
    if !ready.isEmpty { deliver(.tokens(ready)) }
  }
}
