import ControlProtocol
import EngineHost
import Inference
import KVCore

/// One sequence that prefill reads or keeps for decode; owned by the prefill thread.
struct PrefillJob {
  let submission: PrefillSubmission
  /// Every block of the sequence, one by one.
  let blocks: [BlockIndex]
  let addresses: [KVBlockAddress]
  /// Tokens whose KV is written.
  var position = 0
  /// Final stamps of the blocks that are final, in the sequence's order.
  var stamps: [UInt64] = []
  var completion: PrefillDone?
  /// The decode engine that claimed the ticket last and follows the progress; nil before any claim.
  var follower: PendingReply?
  /// When the first chunk started.
  var started: ContinuousClock.Instant?

  var tokens: [TokenID] { submission.request.tokens }
  var ticket: TicketID { submission.ticket }
}
