import ControlProtocol
import KVCore

/// What a prompt makes prefill tell decode: a ticket, or what it says of its progress.
struct MetadataSubject {
  enum Kind: String, CaseIterable {
    /// The blocks of the prompt.
    case ticket
    /// A stamp and a checksum for each block, in a message for each pass of the default length.
    case progress
    /// The same in one message, for a claim that comes when the prompt has been read.
    case late
  }

  /// How the blocks lie in the pool, and where their stamps follow each other.
  enum Placement: String, CaseIterable {
    case contiguous
    /// Of 32 blocks, anywhere in the pool.
    case runs
    /// Each block anywhere.
    case scattered

    func runBlocks(of blocks: Int) -> Int {
      switch self {
      case .contiguous: blocks
      case .runs: 32
      case .scattered: 1
      }
    }
  }

  /// Of one block, and of one pass over a prompt: the engines' defaults.
  private static let blockTokens = 16
  private static let passTokens = 256

  let kind: Kind
  let placement: Placement
  let tokens: Int
  let messages: [Message]
  /// The same as plain lists, one value for each message.
  let plain: [PlainMetadata]

  /// The same arguments make the same values.
  init(_ kind: Kind, _ placement: Placement, tokens: Int) throws(BatonError) {
    self.kind = kind
    self.placement = placement
    self.tokens = tokens
    let blocks = tokens / Self.blockTokens
    let runBlocks = min(blocks, placement.runBlocks(of: blocks))
    let runs = Self.runs(of: runBlocks, blocks: blocks)
    switch kind {
    case .ticket:
      let ticket = Ticket(
        id: TicketID(high: BlockPattern.mix(1), low: BlockPattern.mix(2)),
        engine: try EngineID("prefill-0"), incarnation: Incarnation(BlockPattern.mix(3)),
        addresses: ["10.0.0.1:8101"], tokenCount: UInt32(tokens), blocks: runs,
        leaseMilliseconds: 30_000)
      messages = [.prefillAccepted(ticket)]
      plain = [PlainMetadata(ticket)]
    case .progress, .late:
      // A pool gives out stamps in the order in which its blocks were taken.
      let stamps = runs.flatMap { run in run.blocks.map { 1_000_000 + 2 * UInt64($0.rawValue) } }
      let messageBlocks = kind == .late ? blocks : Self.passTokens / Self.blockTokens
      let progress = stride(from: 0, to: blocks, by: messageBlocks).map { first in
        let places = first..<min(blocks, first + messageBlocks)
        return PrefillProgress(
          firstBlock: UInt32(first), stamps: Array(stamps[places]),
          // As a hash gives them.
          checksums: places.map { BlockPattern.mix(UInt64($0) + 1 << 32) }, completion: nil)
      }
      messages = progress.map { .prefillProgress($0) }
      plain = progress.map { PlainMetadata($0) }
    }
  }

  /// Runs in an order without one: they take every other run of a pool, shuffled.
  private static func runs(of runBlocks: Int, blocks: Int) -> [BlockRange] {
    let order = (0..<blocks / runBlocks).map { (BlockPattern.mix(UInt64($0)), $0) }
    return order.sorted { $0.0 < $1.0 }.map { _, place in
      BlockRange(
        first: BlockIndex(UInt32((2 * place + 1) * runBlocks)), count: UInt32(runBlocks))
    }
  }
}
