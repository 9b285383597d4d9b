import KVCore

/// What the rest of the process tells the decode thread.
enum DecodeCommand: Sendable {
  case admit(DecodeSequence)
  /// Prefill wants these tickets' blocks back.
  case recall(Set<TicketID>)
  /// The copy of a sequence's borrowed blocks to this room has ended, with an error if it failed.
  case cameHome(UInt64, [BlockRange], BatonError?)
  case stop
}
