/// What the rest of the process tells the decode thread.
enum DecodeCommand: Sendable {
  case admit(DecodeSequence)
  case stop
}
