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

/// The thread that reads prompts, chunk by chunk and one after the other, and owns the leases.
///
/// Everything that changes a job or a lease happens here, between two chunks; so blocks are never
/// given back while the engine writes them.
final class PrefillLoop {
  let host: EngineHost
  let links: LinkRegistry
  let mailbox: Mailbox<PrefillCommand>
  private let ticketAddresses: [String]
  private var leases = LeaseTable(duration: .milliseconds(Limits.leaseMilliseconds))
  /// Every job whose blocks are not given back yet.
  var jobs: [TicketID: PrefillJob] = [:]
  /// Jobs that are not read to their end, in the order of their coming.
  private var queue: [TicketID] = []
  /// Claims so far.
  private var claims: UInt64 = 0
  /// When lent blocks are to be looked at again.
  var nextRecall: ContinuousClock.Instant?
  /// Set when the engine is about to stop.
  var drain: Drain?
  var isDrained = false
  private var isStopping = false

  init(
    host: EngineHost, mailbox: Mailbox<PrefillCommand>, links: LinkRegistry,
    ticketAddresses: [String]
  ) {
    self.host = host
    self.mailbox = mailbox
    self.links = links
    self.ticketAddresses = ticketAddresses
  }

  /// Runs until the stop command; called on the thread that owns this loop.
  func run() {
    while !isStopping {
      let commands = queue.isEmpty ? mailbox.wait(until: nextDeadline) : mailbox.takeAll()
      keepQueued()
      for command in commands { obey(command) }
      expire()
      recallLent()
      endDrain()
      if let ticket = queue.first, !isStopping { readChunk(of: ticket) }
    }
    for ticket in Array(jobs.keys) { revoke(ticket, because: stopping) }
  }

  private var stopping: BatonError {
    BatonError(.unavailable, "engine \(host.id) is stopping")
  }

  /// When there is something to do though no command comes.
  private var nextDeadline: ContinuousClock.Instant? {
    let drainDeadline = isDrained ? nil : drain?.deadline
    return [leases.nextDeadline, nextRecall, drainDeadline].compactMap(\.self).min()
  }

  private func obey(_ command: PrefillCommand) {
    switch command {
    case .submit(let submission) where drain != nil:
      host.reserver.release(submission.blocks)
      submission.reply.fail(stopping)
    case .submit(let submission):
      accept(submission)
    case .withdraw(let ticket):
      if let job = jobs[ticket] {
        host.logger.info("cancelled", metadata: ["request": "\(job.submission.request.request)"])
      }
      revoke(ticket, because: BatonError(.cancelled, "the request was cancelled"))
    case .claim(let claim, let claimant, let time, let reply):
      follow(claim, by: claimant, at: time, reply: reply)
    case .abandon(let ticket, let peer):
      host.migration.readerIsDone(ticket)
      if let ended = try? leases.release(ticket, by: peer, now: .now) {
        end(ended, because: Self.givenUp, readerIsDone: true)
      }
    case .renew(let tickets, let peer, let time, let reply):
      answer(tickets, reply) { ticket throws(BatonError) in
        try leases.renew(ticket, by: peer, now: time)
      }
    case .release(let tickets, let peer, let reply):
      answer(tickets, reply) { ticket throws(BatonError) in
        host.migration.readerIsDone(ticket)
        end(
          try leases.release(ticket, by: peer, now: .now), because: Self.givenUp,
          readerIsDone: true)
      }
    case .linksLost(let links):
      for ended in leases.releaseAll(over: links) {
        end(ended, because: BatonError(.peerGone, "the connection with decode is lost"))
      }
    case .recallFailed(let tickets):
      forgetRecall(of: tickets)
    case .roomWanted:
      // Seen to after the commands.
      break
    case .drain(let deadline, let done):
      begin(Drain(deadline: deadline, done: done))
    case .stop:
      isStopping = true
    }
  }

  /// Does the same to every ticket, whatever becomes of the others; answers with the first error.
  private func answer(
    _ tickets: LeaseTickets, _ reply: ReplyWriter, _ body: (TicketID) throws(BatonError) -> Void
  ) {
    var failure: BatonError?
    for ticket in tickets.tickets {
      do {
        try body(ticket)
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { reply.fail(failure) } else { reply.send(.acknowledged, last: true) }
  }

  /// What the proxy hears of a prompt that decode no longer waits for. Why it does not, decode says
  /// itself, perhaps later; so this must not keep the proxy from starting again.
  private static let givenUp = BatonError(
    .cancelled, "decode gave the ticket up", isRetryable: true)
}

extension PrefillLoop {
  private func accept(_ submission: PrefillSubmission) {
    let ticket = Ticket(
      id: submission.ticket, engine: host.id, incarnation: host.incarnation,
      addresses: ticketAddresses,
      tokenCount: UInt32(submission.request.tokens.count), blocks: submission.blocks,
      leaseMilliseconds: UInt32(Limits.leaseMilliseconds))
    leases.grant(ticket.id, blocks: submission.blocks, now: .now)
    let blocks = submission.blocks.flatMap(\.blocks)
    jobs[ticket.id] = PrefillJob(
      submission: submission, blocks: blocks, addresses: host.addresses(of: submission.blocks),
      checksums: PromptChecksums(
        pool: host.pool, blocks: blocks, tokenCount: submission.request.tokens.count))
    queue.append(ticket.id)
    submission.reply.send(.prefillAccepted(ticket))
  }

  private func follow(
    _ claim: TicketClaim, by claimant: LeaseTable.Claimant, at time: ContinuousClock.Instant,
    reply: PendingReply
  ) {
    do {
      _ = try leases.claim(claim.ticket, by: claimant, now: time)
    } catch {
      reply.fail(error)
      return
    }
    guard let job = jobs[claim.ticket] else {
      reply.fail(BatonError(.ticketUnknown, "ticket \(claim.ticket) is not known"))
      return
    }
    let access = host.grant(
      claim.ticket, blocks: job.submission.blocks, link: claimant.link)
    host.logger.debug(
      "ticket claimed",
      metadata: [
        "request": "\(job.submission.request.request)", "decode": "\(claimant.peer.engine)",
        "link": "\(claimant.link)", "protection": "\(access.protection?.description ?? "none")",
      ])
    job.follower?.fail(BatonError(.cancelled, "the ticket was claimed anew"))
    claims += 1
    jobs[claim.ticket]?.follower = reply
    jobs[claim.ticket]?.link = claimant.link
    jobs[claim.ticket]?.claimNumber = claims
    jobs[claim.ticket]?.recalled = nil
    jobs[claim.ticket]?.untoldWindows = access.windows
    tell(claim.ticket, from: 0)
    // From now on decode gives the blocks back.
    if job.completion != nil { job.submission.reply.finish(with: .acknowledged) }
  }

  /// Tells a ticket's claimant of the blocks from `first` on that are final.
  private func tell(_ ticket: TicketID, from first: Int) {
    guard let job = jobs[ticket], let follower = job.follower else { return }
    for (place, var message) in job.progress(from: first).enumerated() {
      if place == 0 {
        message.windows = job.untoldWindows
        jobs[ticket]?.untoldWindows = []
      }
      if message.completion != nil {
        follower.finish(with: .prefillProgress(message))
      } else {
        follower.send(.prefillProgress(message))
      }
    }
  }

  /// The leases of prompts that wait or are read, prefill keeps itself.
  private func keepQueued() {
    // Fails only for a lease that has ended, and then the ticket is not in the queue.
    for ticket in queue { try? leases.extend(ticket, now: .now) }
  }

  private func expire() {
    for ended in leases.expire(now: .now) {
      var metadata: Logger.Metadata = ["ticket": "\(ended.ticket)"]
      metadata["request"] = jobs[ended.ticket].map { "\($0.submission.request.request)" }
      host.logger.warning("lease expired", metadata: metadata)
      end(ended, because: BatonError(.leaseExpired, "nobody claimed or renewed the ticket"))
    }
  }

  /// Takes a ticket back; one that has ended already needs nothing more.
  private func revoke(_ ticket: TicketID, because error: BatonError) {
    guard let ended = try? leases.revoke(ticket) else { return }
    end(ended, because: error)
  }

  /// Gives the blocks of an ended lease back; whoever still waits for the job is told why.
  ///
  /// - Parameter readerIsDone: decode has said that it reads nothing more.
  private func end(
    _ lease: LeaseTable.EndedLease, because error: BatonError, readerIsDone: Bool = false
  ) {
    host.revoke(lease.ticket, blocks: lease.blocks, readerIsDone: readerIsDone)
    queue.removeAll { $0 == lease.ticket }
    guard let job = jobs.removeValue(forKey: lease.ticket) else { return }
    // Whoever has had the last answer hears nothing more.
    job.submission.reply.fail(error)
    job.follower?.fail(error)
  }
}

extension PrefillLoop {
  private func readChunk(of ticket: TicketID) {
    guard var job = jobs[ticket] else { return }
    if job.started == nil { job.started = .now }
    let blockTokens = host.engine.geometry.blockTokens
    let end = min(job.position + host.configuration.prefillChunk, job.tokens.count)
    let slice = SequenceSlice(
      tokens: Array(job.tokens[job.position..<end]), firstPosition: job.position,
      blocks: job.addresses, wantsLogits: end == job.tokens.count)
    let logits: [Float]
    do {
      logits = try host.engine.forward([slice], observer: job.checksums)
    } catch {
      host.logger.error(
        "prefill failed",
        metadata: ["request": "\(job.submission.request.request)", "error": "\(error)"])
      revoke(ticket, because: error)
      return
    }
    job.position = end
    let firstNew = job.stamps.count
    // Whole blocks are final; the partly filled last one is when the prompt is read.
    let finalBlocks =
      end == job.tokens.count ? job.blocks.count : end / blockTokens
    for block in job.blocks[firstNew..<finalBlocks] {
      job.stamps.append(host.pool.endWrite(block))
    }
    precondition(
      job.checksums.values.count == finalBlocks, "the engine tells of every layer that it stores")
    if end == job.tokens.count {
      job.completion = completion(of: job, logits: logits)
      job.completedAt = Node.monotonicMicroseconds()
    }
    jobs[ticket] = job
    tell(ticket, from: firstNew)
    if let completion = job.completion { settle(job, completion) }
  }

  private func completion(of job: PrefillJob, logits: [Float]) -> PrefillDone {
    let next = host.nextToken(
      logits: logits[...], sampling: job.submission.request.sampling, position: job.tokens.count,
      index: 0)
    let started = job.started ?? .now
    return PrefillDone(
      firstToken: next.token, finish: next.finish,
      queuedMicroseconds: (started - job.submission.received).wholeMicroseconds,
      computedMicroseconds: (ContinuousClock.now - started).wholeMicroseconds)
  }

  /// Tells the proxy that the prompt is read; the blocks stay until decode releases them, or until
  /// the request is taken back before decode has claimed them.
  private func settle(_ job: PrefillJob, _ completion: PrefillDone) {
    queue.removeAll { $0 == job.ticket }
    // The time of a lease does not pass while its blocks are written.
    try? leases.extend(job.ticket, now: .now)
    if completion.finish != nil || job.follower != nil {
      job.submission.reply.finish(with: .prefillDone(completion))
    } else {
      job.submission.reply.send(.prefillDone(completion))
    }
    host.logger.info(
      "prefilled",
      metadata: [
        "request": "\(job.submission.request.request)", "tokens": "\(job.tokens.count)",
        "blocks": "\(job.stamps.count)", "queued_us": "\(completion.queuedMicroseconds)",
        "computed_us": "\(completion.computedMicroseconds)", "at_us": "\(job.completedAt)",
      ])
    if completion.finish != nil {
      revoke(job.ticket, because: BatonError(.cancelled, "the first token was the last"))
    }
  }
}
