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
  /// Of the same blocks.
  let checksums: PromptChecksums
  var completion: PrefillDone?
  /// The decode engine that claimed the ticket last and follows the progress; nil before any claim.
  var follower: PendingReply?
  /// What goes with the next progress: by what the claimant READs the blocks.
  var untoldWindows: [RDMAWindow] = []
  /// The link that the ticket was claimed over last; nil before any claim.
  var link: LinkID?
  /// Tells which of two jobs was claimed first.
  var claimNumber: UInt64 = 0
  /// When decode was asked to give the blocks back.
  var recalled: ContinuousClock.Instant?
  /// When the first chunk started.
  var started: ContinuousClock.Instant?
  /// When the first token was drawn, on the node's clock; see `Node.monotonicMicroseconds`.
  var completedAt: UInt64 = 0

  var tokens: [TokenID] { submission.request.tokens }
  var ticket: TicketID { submission.ticket }

  /// What decode is told of the blocks from `first` on that are final, and of the end when it is
  /// reached: no message where there is nothing to tell.
  func progress(from first: Int) -> [PrefillProgress] {
    guard first < stamps.count || completion != nil else { return [] }
    let starts = stride(
      from: first, to: max(stamps.count, first + 1), by: Limits.maximumProgressBlocks)
    return starts.map { start in
      let end = min(start + Limits.maximumProgressBlocks, stamps.count)
      return PrefillProgress(
        firstBlock: UInt32(start), stamps: Array(stamps[start..<end]),
        checksums: Array(checksums.values[start..<end]),
        completion: end == stamps.count ? completion : nil)
    }
  }
}
