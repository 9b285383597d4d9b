import ControlProtocol
import EngineHost
import Inference
import KVCore

/// A sequence whose KV has come, ready for the decode thread.
struct Arrival: Sendable {
  let request: DecodeRequest
  let own: [BlockRange]
  let blocks: [KVBlockAddress]
  let prefix: BorrowedPrefix?
  let firstToken: TokenID
  let report: MigrationReport
  /// When the KV was usable, by the clock that all processes of the node share.
  let monotonicMicroseconds: UInt64

  func sequence(reply: PendingReply) -> DecodeSequence {
    DecodeSequence(
      request: request.request, sampling: request.sampling, reply: reply, ownBlocks: own,
      blocks: blocks, borrowed: prefix, pending: [firstToken],
      position: Int(request.ticket.tokenCount), nextIndex: 1, report: report)
  }
}
