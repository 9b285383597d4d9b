import ControlProtocol
import EngineHost
import Inference
import KVCore
import Migration

/// One sequence that the decode thread advances; owned by that thread.
struct DecodeSequence: Sendable {
  /// Tells it from every other sequence; given by the loop.
  var serial: UInt64 = 0
  let request: RequestID
  let sampling: SamplingParameters
  let reply: PendingReply
  /// Blocks of our own pool, given back when the sequence ends.
  var ownBlocks: [BlockRange]
  /// The block table: borrowed blocks first, while there are any, then our own.
  var blocks: [KVBlockAddress]
  /// What is read in place in the prefill engine's memory.
  var borrowed: BorrowedPrefix?
  /// Tokens whose KV is not written yet: the rest of a prompt, or the last token chosen.
  var pending: [TokenID]
  /// The position of the first pending token.
  var position: Int
  /// The index in the answer of the next token to be chosen.
  var nextIndex: Int
  /// Tokens that this engine has written.
  var written = 0
  /// Told with the first chunk.
  var report: MigrationReport?

  /// Whether more than one token is pending, so that a step may take only a part of them.
  var isPrefilling: Bool { pending.count > 1 }
}

/// The whole blocks at the start of a sequence that lie in a prefill engine's memory.
struct BorrowedPrefix: Sendable {
  let link: Link
  let ticket: TicketID
  let blocks: BorrowedBlocks
  /// Prefill wants the blocks back.
  var isRecalled = false
  /// Blocks of our own that they are being copied to; nil while they are not.
  var room: [BlockRange]?
  /// It was told that there is no room for them.
  var lacksRoom = false

  var count: Int { blocks.stamps.count }
}
