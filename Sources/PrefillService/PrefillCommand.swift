import ControlProtocol
import ControlTransport
import EngineHost
import KVCore
import KVPool

/// What the control connections tell the prefill thread.
enum PrefillCommand: Sendable {
  /// Read these tokens into these blocks.
  case submit(PrefillSubmission)
  /// Whoever submitted a request took it back, before it was done and its ticket claimed.
  case withdraw(TicketID)
  /// Claims and renewals count from the time they came, however long the chunk took that they had
  /// to wait for.
  case claim(TicketClaim, LeaseTable.Claimant, at: ContinuousClock.Instant, PendingReply)
  /// The claim was cancelled before prefill was done.
  case abandon(TicketID, LeaseTable.Peer)
  case renew(LeaseTickets, LeaseTable.Peer, at: ContinuousClock.Instant, ReplyWriter)
  case release(LeaseTickets, LeaseTable.Peer, ReplyWriter)
  /// The control connection of these links is lost: what was claimed over them ends at once.
  case linksLost(Set<LinkID>)
  /// Decode was not reached when these were asked for.
  case recallFailed([TicketID])
  /// The pool has too little room for a prompt.
  case roomWanted
  /// Take nothing new, ask for everything that is lent, and call `done` when all of it is back or
  /// the time is up.
  case drain(until: ContinuousClock.Instant, done: @Sendable () -> Void)
  case stop
}

/// A request that has its blocks.
struct PrefillSubmission: Sendable {
  let request: PrefillRequest
  /// What decode will claim the sequence with.
  let ticket: TicketID
  let blocks: [BlockRange]
  let received: ContinuousClock.Instant
  /// Ends when the prompt is read **and** the ticket claimed: until then nobody else can take the
  /// blocks back.
  let reply: PendingReply
}
