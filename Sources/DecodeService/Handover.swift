import BatonRuntime
import ControlProtocol
import ControlTransport
import EngineHost
import Inference
import KVCore
import KVPool
import Logging
import Migration
import Platform

/// Brings one sequence's KV from prefill to this engine: claims the ticket, follows prefill's
/// progress, and leaves with KV that a step can use.
struct Handover: Sendable {
  let host: EngineHost
  let links: LinkTable
  let leases: LeaseKeeper

  enum Outcome: Sendable {
    /// Prefill's first token was the last one.
    case ended(FinishReason)
    case arrived(ArrivalBox)
  }

  /// An engine that cannot attend over a peer's memory, or that does not have it, has everything
  /// copied.
  private func mode(over link: Link) -> HandoffMode {
    host.engine.canBorrow && link.pool.canBorrow ? host.configuration.handoff : .copy
  }

  private var geometry: KVGeometry { host.engine.geometry }

  /// Waits for our own blocks and for prefill.
  ///
  /// Throws `BatonError` with the cause when the KV cannot be had; everything taken is then given
  /// back on both sides.
  func receive(
    _ request: DecodeRequest, by deadline: ContinuousClock.Instant
  ) async throws -> Outcome {
    var used: Link?
    do {
      return try await handOver(request, by: deadline, over: &used)
    } catch {
      let error = BatonError(wrapping: error)
      if error.code == .cancelled {
        host.logger.info("hand-over cancelled", metadata: ["request": "\(request.request)"])
      } else {
        host.metrics.recordFailedMigration(
          transport: used?.pool.transport.description ?? "none",
          mode: used.map(mode(over:)) ?? host.configuration.handoff, code: error.code)
        host.logger.warning(
          "hand-over failed", metadata: ["request": "\(request.request)", "error": "\(error)"])
      }
      throw error
    }
  }

  private func handOver(
    _ request: DecodeRequest, by deadline: ContinuousClock.Instant, over used: inout Link?
  ) async throws -> Outcome {
    let ticket = request.ticket
    if let refusal = refusal(of: request) { throw refusal }
    let link = try await links.link(
      to: ticket.engine, incarnation: ticket.incarnation, addresses: ticket.addresses)
    used = link
    let plan = HandoverPlan(
      tokenCount: Int(ticket.tokenCount),
      maximumTokens: Int(request.sampling.maximumTokens), mode: mode(over: link),
      geometry: geometry)
    // Kept before it is claimed, so that prefill's first word of it finds it; and claimed before we
    // wait for our own blocks, so that the lease can be renewed meanwhile.
    guard leases.keep(ticket.id, on: link) else {
      throw BatonError(.ticketClaimed, "ticket \(ticket.id) is being taken over here already")
    }
    do {
      let progress = try link.connection.stream(
        .ticketClaim(TicketClaim(ticket: ticket.id, link: link.id, attempt: request.attempt)),
        within: deadline - .now)
      return try await receive(
        HandoverState(request: request, link: link, plan: plan), progress: progress)
    } catch {
      leases.release(ticket.id, on: link)
      throw error
    }
  }

  private func refusal(of request: DecodeRequest) -> BatonError? {
    let ticket = request.ticket
    let blocks = ticket.blocks.reduce(0) { $0 + Int($1.count) }
    guard ticket.tokenCount > 0, blocks == geometry.blockCount(tokens: Int(ticket.tokenCount))
    else {
      return BatonError(
        .invalidArgument,
        "the ticket lists \(blocks) blocks for \(ticket.tokenCount) tokens; expected "
          + "\(geometry.blockCount(tokens: Int(ticket.tokenCount)))")
    }
    // One renewal may come late, and the lease must not end by that.
    guard ticket.leaseMilliseconds >= 2 * Limits.leaseRenewalMilliseconds else {
      return BatonError(
        .incompatible,
        "the ticket's lease lasts \(ticket.leaseMilliseconds) ms; this engine renews every "
          + "\(Limits.leaseRenewalMilliseconds) ms, so at least twice that is needed")
    }
    return host.refusal(tokenCount: Int(ticket.tokenCount), sampling: request.sampling)
  }

  /// What a hand-over waits for, both at once: a claim that fails is noticed while our own blocks
  /// are still to come.
  private enum Step: Sendable {
    case reserved([BlockRange])
    case progress(PrefillProgress, at: ContinuousClock.Instant)
  }

  private func receive(
    _ state: HandoverState, progress: MessageStream
  ) async throws -> Outcome {
    var state = state
    let (steps, input) = AsyncThrowingStream<Step, any Error>.makeStream(
      bufferingPolicy: .bufferingOldest(Limits.maximumWaitingProgress))
    return try await withTaskGroup(of: [BlockRange]?.self) { group in
      group.addTask { [reserver = host.reserver, blocks = state.plan.ownBlocks] in
        do {
          let own = try await reserver.reserve(blocks: blocks)
          input.yield(.reserved(own))
          return own
        } catch {
          input.finish(throwing: error)
          return nil
        }
      }
      group.addTask { [engine = state.link.engine] in
        await Self.follow(progress, of: engine, into: input)
        return nil
      }
      let result = await self.result(of: steps, &state)
      group.cancelAll()
      let hasArrived = if case .success(.arrived) = result { true } else { false }
      for await case let own? in group where !hasArrived { host.reserver.release(own) }
      return result
    }.get()
  }

  private func result(
    of steps: AsyncThrowingStream<Step, any Error>, _ state: inout HandoverState
  ) async -> Result<Outcome, any Error> {
    do {
      for try await step in steps {
        if let outcome = try await advance(&state, by: step) { return .success(outcome) }
      }
      return .failure(CancellationError())
    } catch {
      return .failure(error)
    }
  }

  private static func follow(
    _ messages: MessageStream, of engine: EngineID,
    into steps: AsyncThrowingStream<Step, any Error>.Continuation
  ) async {
    do {
      for try await message in messages {
        guard case .prefillProgress(let progress) = message else {
          throw BatonError(.protocolViolation, "expected PrefillProgress from \(engine)")
        }
        if case .dropped = steps.yield(.progress(progress, at: .now)) {
          throw BatonError(.resourceExhausted, "\(engine) tells of more progress than there can be")
        }
        if progress.completion != nil { return }
      }
      throw BatonError(.peerGone, "\(engine) ended the claim before it was done")
    } catch {
      steps.finish(throwing: error)
    }
  }

  /// Takes one step; returns the outcome when there is nothing more to wait for.
  private func advance(
    _ state: inout HandoverState, by step: Step
  ) async throws -> Outcome? {
    switch step {
    case .reserved(let own): state.own = own
    case .progress(let progress, let time): try state.take(progress, at: time)
    }
    if let finish = state.completion?.finish {
      leases.release(state.ticket.id, on: state.link)
      return .ended(finish)
    }
    guard let own = state.own else { return nil }
    let ready = ContinuousClock.now
    if let blocks = state.nextToCopy() {
      let start = ContinuousClock.now
      try await copy(blocks, of: state, into: own)
      state.noteCopy(from: start, to: .now)
    }
    guard let completion = state.completion else { return nil }
    return .arrived(
      ArrivalBox(try arrive(state, completion: completion, own: own, ready: ready)))
  }

  private func copy(
    _ blocks: Range<Int>, of state: HandoverState, into own: [BlockRange]
  ) async throws {
    let sources = state.ticket.blocks.blocks(at: blocks)
    let first = blocks.lowerBound - state.plan.borrowedBlocks
    let targets = own.blocks(at: first..<first + blocks.count)
    let stamps = Array(state.stamps[blocks])
    let checksums = wantedChecksums(state, of: blocks)
    let (pool, grant) = (state.link.pool, state.grant)
    let cancellation = MigrationCancellation()
    // Nobody else may have the targets before the copy has ended, so it is waited for all the same.
    _ = try await withTaskCancellationHandler {
      await state.link.copier.run {
        Result {
          try pool.copy(
            sources, stamps: stamps, checksums: checksums, to: targets, under: grant,
            cancellation: cancellation)
        }
      }
    } onCancel: {
      cancellation.cancel()
    }.get()
  }

  /// What a copy of these blocks is verified by.
  private func wantedChecksums(_ state: HandoverState, of blocks: Range<Int>) -> [UInt64] {
    host.configuration.verify == .full ? Array(state.checksums[blocks]) : []
  }

  private func arrive(
    _ state: HandoverState, completion: PrefillDone, own: [BlockRange],
    ready: ContinuousClock.Instant
  ) throws -> Arrival {
    let (request, link, plan, stamps) = (state.request, state.link, state.plan, state.stamps)
    guard let firstToken = completion.firstToken, stamps.count == plan.ticketBlocks else {
      throw BatonError(
        .protocolViolation,
        "\(link.engine) was done after \(stamps.count) of \(plan.ticketBlocks) blocks")
    }
    // A peer's mistake must not be refused by the engine in the middle of a batch.
    let vocabulary = host.engine.model.vocabularySize
    guard (0..<vocabulary).contains(Int(firstToken)) else {
      throw BatonError(
        .protocolViolation,
        "\(link.engine) chose token \(firstToken) of a vocabulary of \(vocabulary)")
    }
    var prefix: BorrowedPrefix?
    if plan.borrowedBlocks > 0 {
      let blocks = try link.pool.borrow(
        request.ticket.blocks.blocks(at: 0..<plan.borrowedBlocks),
        stamps: Array(stamps[..<plan.borrowedBlocks]),
        checksums: wantedChecksums(state, of: 0..<plan.borrowedBlocks))
      prefix = BorrowedPrefix(link: link, ticket: request.ticket.id, blocks: blocks)
    } else {
      leases.release(request.ticket.id, on: link)
    }
    let movedBlocks = plan.ticketBlocks - plan.borrowedBlocks
    let report = MigrationReport(
      transport: link.pool.transport.description, mode: mode(over: link).description,
      blocks: UInt32(plan.ticketBlocks),
      bytes: UInt64((geometry.blockBytes * movedBlocks).rawValue),
      microseconds: (ContinuousClock.now - ready).wholeMicroseconds)
    host.metrics.record(report, overlap: mode(over: link) == .copy ? state.overlap : nil)
    let time = Node.monotonicMicroseconds()
    let blocks =
      (prefix?.blocks.addresses ?? []).map { KVBlockAddress($0) } + host.addresses(of: own)
    return Arrival(
      request: request, own: own, blocks: blocks, prefix: prefix, firstToken: firstToken,
      report: report, monotonicMicroseconds: time)
  }

  /// Says what has arrived; called once the decode thread has it, which must not wait for a log.
  func log(_ arrival: Arrival) {
    let report = arrival.report
    let moved = ByteCount(Int(report.bytes))
    let movedBlocks = moved.rawValue / geometry.blockBytes.rawValue
    host.logger.info(
      "KV arrived",
      metadata: [
        "request": "\(arrival.request.request)", "from": "\(arrival.request.ticket.engine)",
        "transport": "\(report.transport)",
        "mode": "\(report.mode)", "blocks": "\(report.blocks)", "moved": "\(moved)",
        "verified": "\(host.configuration.verify == .full ? movedBlocks : 0)",
        "microseconds": "\(report.microseconds)", "at_us": "\(arrival.monotonicMicroseconds)",
      ])
  }
}
