import ControlProtocol
import EngineHost
import Inference
import KVCore
import Synchronization

/// Hands an arrival on once. Whoever waits for the answer must not keep the borrowed memory: it
/// goes with the sequence.
final class ArrivalBox: Sendable {
  private let arrival: Mutex<Arrival?>

  init(_ arrival: Arrival) { self.arrival = Mutex(arrival) }

  func take() -> Arrival? { arrival.withLock { $0.take() } }
}

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
