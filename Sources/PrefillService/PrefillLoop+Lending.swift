import BatonRuntime
import ControlProtocol
import EngineHost
import KVCore
import KVPool
import Logging

/// What decode engines read in place, and how prefill gets it back.
extension PrefillLoop {
  /// A stop that waits for what is lent.
  struct Drain {
    let deadline: ContinuousClock.Instant
    let done: @Sendable () -> Void
  }

  /// Asks for lent blocks back while the pool has too little room, prompts wait for more than is
  /// free, or the engine is about to stop.
  func recallLent() {
    let pool = host.pool.statistics
    let mark = pool.total * host.configuration.recallBelow / 100
    let wanted = drain == nil ? max(mark, host.reserver.waitingBlocks) : pool.total
    guard pool.free < wanted else {
      nextRecall = nil
      return
    }
    let lent = jobs.values.filter(\.isLent).sorted { $0.claimNumber < $1.claimNumber }
    let now = ContinuousClock.now
    let decision = RecallPolicy.decide(
      loans: lent.map {
        RecallPolicy.Loan(ticket: $0.ticket, blocks: $0.blocks.count, recalled: $0.recalled)
      },
      free: pool.free, wanted: wanted, now: now)
    nextRecall = decision.nextLook
    let recalled = Set(decision.recalls)
    var byLink: [LinkID: [TicketID]] = [:]
    for job in lent where recalled.contains(job.ticket) {
      jobs[job.ticket]?.recalled = now
      if let link = job.link { byLink[link, default: []].append(job.ticket) }
    }
    for (link, tickets) in byLink {
      host.logger.info(
        "lent blocks are wanted back",
        metadata: [
          "link": "\(link)", "tickets": "\(tickets.count)", "free": "\(pool.free)",
          "wanted": "\(wanted)", "pool": "\(pool.total)",
        ])
      links.recall(tickets, over: link) { [mailbox] in mailbox.post(.recallFailed(tickets)) }
    }
  }

  /// Decode has not heard that these are wanted back: they are asked for again.
  func forgetRecall(of tickets: [TicketID]) {
    for ticket in tickets { jobs[ticket]?.recalled = nil }
  }

  /// From now on nothing new is taken, and everything that is lent is asked for.
  func begin(_ drain: Drain) {
    host.logger.info("draining", metadata: ["tickets": "\(jobs.count)"])
    self.drain = drain
  }

  /// Ends a drain when nothing is left to wait for, or the time is up.
  func endDrain() {
    guard let drain, jobs.isEmpty || drain.deadline <= .now else { return }
    if !isDrained {
      isDrained = true
      host.logger.info("drained", metadata: ["remaining": "\(jobs.count)"])
      drain.done()
    }
  }
}

extension PrefillJob {
  /// Whether the prompt is read and a decode engine has the ticket: what is in the blocks is final.
  var isLent: Bool { completion != nil && link != nil }
}
