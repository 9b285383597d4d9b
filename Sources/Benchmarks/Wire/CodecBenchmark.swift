import ControlProtocol
import ControlWire
import KVCore

/// What encoding and decoding one message costs, without any IO.
enum CodecBenchmark {
  /// A message that is sent often, and what it is called in the table.
  struct Subject {
    let name: String
    let message: Message
    let flags: FrameFlags
  }

  /// Messages of every step of a request, in the sizes that 2,000 prompt tokens give them.
  static func subjects() throws(BatonError) -> [Subject] {
    let sampling = SamplingParameters(
      temperature: 1, seed: 7, maximumTokens: 256, ignoresEndTokens: false)
    let ticket = Ticket(
      id: .random(), engine: try EngineID("prefill-0"), incarnation: .random(),
      addresses: ["10.0.0.1:8101"], tokenCount: 2_000,
      blocks: [BlockRange(first: BlockIndex(100), count: 125)], leaseMilliseconds: 30_000)
    let request = RequestID.random()
    let stamps = (0..<16).map { UInt64(1_000_000 + 2 * $0) }
    return [
      Subject(
        name: "TokenChunk, 1 token",
        message: .tokenChunk(
          TokenChunk(firstIndex: 100, tokens: [1_234], finish: nil, migration: nil)),
        flags: .response),
      Subject(
        name: "PrefillProgress, 16 blocks",
        message: .prefillProgress(
          PrefillProgress(firstBlock: 16, stamps: stamps, checksums: stamps, completion: nil)),
        flags: .response),
      Subject(
        name: "PrefillRequest, 2,000 tokens",
        message: .prefillRequest(
          PrefillRequest(
            request: request, attempt: 0, tokens: (0..<2_000).map { $0 * 37 % 32_000 },
            sampling: sampling)),
        flags: .last),
      Subject(
        name: "DecodeRequest",
        message: .decodeRequest(
          DecodeRequest(request: request, attempt: 0, ticket: ticket, sampling: sampling)),
        flags: .last),
      Subject(
        name: "TicketClaim",
        message: .ticketClaim(TicketClaim(ticket: ticket.id, link: .random(), attempt: 0)),
        flags: .last),
      Subject(
        name: "LeaseRelease, 1 ticket",
        message: .leaseRelease(LeaseTickets(tickets: [ticket.id])), flags: .last),
      Subject(name: "Ping", message: .ping(1), flags: .last),
    ]
  }

  /// Medians over batches, in turns for the two directions.
  static func measure(_ subject: Subject) throws(BatonError) -> CodecFigures {
    let frames = try FrameEncoder.encode(
      subject.message, stream: 1, flags: subject.flags
    ).frames
    let batch = max(10, min(2_000, 400_000 / frames.count))
    var (encoding, decoding) = (Samples(), Samples())
    var checked = 0
    for _ in 0..<BenchmarkLimits.codecBatches {
      let start = ContinuousClock.now
      for _ in 0..<batch {
        checked += try FrameEncoder.encode(
          subject.message, stream: 1, flags: subject.flags
        ).frames.count
      }
      let encoded = ContinuousClock.now
      var decoder = FrameDecoder(limits: .established)
      for _ in 0..<batch {
        decoder.feed(frames.span)
        if case .success? = try decoder.nextMessage()?.content { checked += frames.count }
      }
      encoding.add((encoded - start) / batch)
      decoding.add((ContinuousClock.now - encoded) / batch)
    }
    // Both directions were done each time: the work cannot have been left out.
    guard checked == 2 * frames.count * batch * BenchmarkLimits.codecBatches else {
      throw BatonError(.internalError, "\(subject.name) did not survive encoding and decoding")
    }
    return CodecFigures(
      name: subject.name, bytes: frames.count, encoding: encoding.percentile(0.5) ?? .zero,
      decoding: decoding.percentile(0.5) ?? .zero)
  }
}
