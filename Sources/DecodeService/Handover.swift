import BatonRuntime
import ControlProtocol
import ControlTransport
import EngineHost
import Inference
import KVCore
import KVPool
import Logging
import Migration

/// Brings one sequence's KV from prefill to this engine: claims the ticket, follows prefill's
/// progress, and leaves with KV that a step can use.
struct Handover: Sendable {
  let host: EngineHost
  let links: LinkTable
  let leases: LeaseKeeper
  /// Copies, beside the steps.
  let copier: WorkerThread

  enum Outcome: Sendable {
    /// Prefill's first token was the last one.
    case ended(FinishReason)
    case arrived(Arrival)
  }

  private var mode: HandoffMode { host.configuration.handoff }
  private var geometry: KVGeometry { host.engine.geometry }

  /// Waits for our own blocks, then for prefill.
  ///
  /// Throws `BatonError` with the cause when the KV cannot be had; everything taken is then given
  /// back on both sides.
  func receive(_ request: DecodeRequest) async throws -> Outcome {
    do {
      return try await handOver(request)
    } catch {
      let error = BatonError(wrapping: error)
      if error.code == .cancelled {
        host.logger.info("hand-over cancelled", metadata: ["request": "\(request.request)"])
      } else {
        host.metrics.recordFailedMigration(transport: "shm", mode: mode, code: error.code)
        host.logger.warning(
          "hand-over failed", metadata: ["request": "\(request.request)", "error": "\(error)"])
      }
      throw error
    }
  }

  private func handOver(_ request: DecodeRequest) async throws -> Outcome {
    let ticket = request.ticket
    if let refusal = refusal(of: request) { throw refusal }
    let link = try await links.link(
      to: ticket.engine, incarnation: ticket.incarnation, addresses: ticket.addresses)
    let plan = HandoverPlan(
      tokenCount: Int(ticket.tokenCount),
      maximumTokens: Int(request.sampling.maximumTokens), mode: mode, geometry: geometry)
    do {
      // Claimed before we wait for our own blocks, so that the lease can be renewed meanwhile.
      let progress = try link.connection.stream(
        .ticketClaim(TicketClaim(ticket: ticket.id, link: link.id, attempt: request.attempt)))
      leases.keep(ticket.id, on: link)
      let own = try await host.reserver.reserve(blocks: plan.ownBlocks)
      do {
        return try await follow(progress, of: request, over: link, plan: plan, own: own)
      } catch {
        host.reserver.release(own)
        throw error
      }
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
    return host.refusal(tokenCount: Int(ticket.tokenCount), sampling: request.sampling)
  }

  private func follow(
    _ messages: MessageStream, of request: DecodeRequest, over link: Link, plan: HandoverPlan,
    own: [BlockRange]
  ) async throws -> Outcome {
    let ticket = request.ticket
    var stamps: [UInt64] = []
    // What is borrowed is not copied; a partly filled last block always is.
    var copied = plan.borrowedBlocks
    for try await message in messages {
      guard case .prefillProgress(let progress) = message else {
        throw BatonError(.protocolViolation, "expected PrefillProgress from \(link.engine)")
      }
      guard Int(progress.firstBlock) == stamps.count else {
        throw BatonError(
          .protocolViolation,
          "progress speaks of block \(progress.firstBlock) after \(stamps.count) blocks")
      }
      stamps += progress.stamps
      guard stamps.count <= plan.ticketBlocks else {
        throw BatonError(
          .protocolViolation,
          "\(link.engine) speaks of \(stamps.count) of \(plan.ticketBlocks) blocks")
      }
      let ready = ContinuousClock.now
      if let finish = progress.completion?.finish {
        leases.release(ticket.id, on: link)
        host.reserver.release(own)
        return .ended(finish)
      }
      if stamps.count > copied {
        try await copy(
          copied..<stamps.count, of: ticket, over: link, stamps: stamps, into: own, plan: plan)
        copied = stamps.count
      }
      guard let completion = progress.completion else { continue }
      return .arrived(
        try arrive(
          request, completion: completion, stamps: stamps, link: link, own: own, plan: plan,
          ready: ready))
    }
    throw BatonError(.peerGone, "\(link.engine) ended the claim before it was done")
  }

  private func copy(
    _ blocks: Range<Int>, of ticket: Ticket, over link: Link, stamps: [UInt64],
    into own: [BlockRange], plan: HandoverPlan
  ) async throws {
    let sources = ticket.blocks.blocks(at: blocks)
    let first = blocks.lowerBound - plan.borrowedBlocks
    let targets = own.blocks(at: first..<first + blocks.count)
    let wanted = Array(stamps[blocks])
    _ = try await copier.run {
      Result { try link.pool.copy(sources, stamps: wanted, to: targets) }
    }.get()
  }

  private func arrive(
    _ request: DecodeRequest, completion: PrefillDone, stamps: [UInt64], link: Link,
    own: [BlockRange], plan: HandoverPlan, ready: ContinuousClock.Instant
  ) throws -> Arrival {
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
        stamps: Array(stamps[..<plan.borrowedBlocks]))
      prefix = BorrowedPrefix(link: link, ticket: request.ticket.id, blocks: blocks)
    } else {
      leases.release(request.ticket.id, on: link)
    }
    let movedBlocks = plan.ticketBlocks - plan.borrowedBlocks
    let report = MigrationReport(
      transport: "shm", mode: mode.description, blocks: UInt32(plan.ticketBlocks),
      bytes: UInt64((geometry.blockBytes * movedBlocks).rawValue),
      microseconds: (ContinuousClock.now - ready).wholeMicroseconds)
    host.metrics.record(report)
    host.logger.info(
      "KV arrived",
      metadata: [
        "request": "\(request.request)", "from": "\(link.engine)", "mode": "\(mode)",
        "blocks": "\(report.blocks)", "moved": "\(geometry.blockBytes * movedBlocks)",
        "microseconds": "\(report.microseconds)",
      ])
    let blocks =
      (prefix?.blocks.addresses ?? []).map { KVBlockAddress($0) } + host.addresses(of: own)
    return Arrival(
      request: request, own: own, blocks: blocks, prefix: prefix, firstToken: firstToken,
      report: report)
  }
}
