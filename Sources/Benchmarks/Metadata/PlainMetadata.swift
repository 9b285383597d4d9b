import ControlProtocol
import KVCore

/// A ticket or a progress as serving systems send them in JSON: every block by its number.
struct PlainMetadata: Codable, Equatable {
  // Of a ticket.
  var ticket: String?
  var engine: String?
  var incarnation: UInt64?
  var addresses: [String]?
  var tokenCount: UInt32?
  var blocks: [UInt32]?
  var leaseMilliseconds: UInt32?

  // Of a progress.
  var firstBlock: UInt32?
  var stamps: [UInt64]?
  var checksums: [UInt64]?

  init(_ ticket: Ticket) {
    self.ticket = "\(ticket.id)"
    engine = ticket.engine.name
    incarnation = ticket.incarnation.rawValue
    addresses = ticket.addresses
    tokenCount = ticket.tokenCount
    blocks = ticket.blocks.flatMap { run in run.blocks.map(\.rawValue) }
    leaseMilliseconds = ticket.leaseMilliseconds
  }

  init(_ progress: PrefillProgress) {
    firstBlock = progress.firstBlock
    stamps = progress.stamps
    checksums = progress.checksums
  }
}
