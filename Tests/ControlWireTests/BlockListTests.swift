import ControlProtocol
import ControlWire
import KVCore
import TestSupport
import Testing

@Suite("Lists of blocks and stamps")
struct BlockListTests {
  private typealias Codec = MessageCodecTests

  private static func zigzag(_ value: Int64) -> UInt64 {
    UInt64(bitPattern: value << 1 ^ value >> 63)
  }

  /// A `PrefillAccepted` whose ticket has all that it must have, and these runs.
  private static func ticket(counts: [UInt64], gaps: [Int64], isPacked: Bool = true) -> [UInt8] {
    let lists: [UInt8] =
      isPacked
      ? Codec.field(8, counts.flatMap { Codec.varint($0) })
        + Codec.field(9, gaps.flatMap { Codec.varint(zigzag($0)) })
      : counts.flatMap { Codec.field(8, $0) } + gaps.flatMap { Codec.field(9, zigzag($0)) }
    return Codec.field(
      1, Codec.field(1, []) + Codec.field(2, [65]) + [0x19, 1, 0, 0, 0, 0, 0, 0, 0] + lists)
  }

  private static func progress(
    checksums: Int, first: UInt8 = 2, runs: [UInt64] = [], jumps: [Int64] = []
  ) -> [UInt8] {
    Codec.field(4, [UInt8](repeating: 7, count: 8 * checksums))
      + [0x29, first, 0, 0, 0, 0, 0, 0, 0]
      + Codec.field(6, runs.flatMap { Codec.varint($0) })
      + Codec.field(7, jumps.flatMap { Codec.varint(zigzag($0)) })
  }

  private static func blocks(_ payload: [UInt8]) throws -> [BlockRange] {
    guard
      case .prefillAccepted(let ticket) = try Codec.decode(
        MessageType.prefillAccepted.rawValue, payload)
    else { throw BatonError(.internalError, "that is another message") }
    return ticket.blocks
  }

  private static func progress(_ payload: [UInt8]) throws -> PrefillProgress {
    guard
      case .prefillProgress(let progress) = try Codec.decode(
        MessageType.prefillProgress.rawValue, payload)
    else { throw BatonError(.internalError, "that is another message") }
    return progress
  }

  @Test("runs are counted from the end of the run before, packed or one by one")
  func runs() throws {
    let expected = [(7, 2), (9, 1), (3, 4), (0, 1)].map { first, count in
      BlockRange(first: BlockIndex(first), count: count)
    }
    for isPacked in [true, false] {
      let payload = Self.ticket(
        counts: [2, 1, 4, 1], gaps: [7, 0, -7, -7], isPacked: isPacked)
      #expect(try Self.blocks(payload) == expected)
    }
  }

  @Test("stamps rise by 2 but for the jumps, and are counted modulo 2^64")
  func stamps() throws {
    let all = try Self.progress(
      Self.progress(checksums: 6, first: 4, runs: [1, 2, 2], jumps: [10, -10, -11]))
    #expect(all.stamps == [4, 16, 18, 10, 12, 3])
    let around = try Self.progress(
      Self.progress(checksums: 3, first: 1, runs: [1, 1], jumps: [-4, 0]))
    #expect(around.stamps == [1, .max, 1])
    #expect(try Self.progress(Self.progress(checksums: 0, first: 0)).stamps == [])
  }

  @Test("the usual lists take a few bytes, whatever the prompt's length")
  func compact() throws {
    let blocks = 65_536
    let ticket = Ticket(
      id: TicketID(high: 1, low: 2), engine: try EngineID("p"), incarnation: Incarnation(3),
      addresses: [], tokenCount: 1 << 20,
      blocks: [BlockRange(first: BlockIndex(1_000), count: UInt32(blocks))],
      leaseMilliseconds: 30_000)
    #expect(MessageCodec.payload(of: .prefillAccepted(ticket)).count < 64)
    let stamps = (0..<blocks).map { UInt64(1_000_000 + 2 * $0) }
    let progress = PrefillProgress(
      firstBlock: 0, stamps: stamps, checksums: stamps.map { $0 &* 0x9E37_79B9_7F4A_7C15 },
      completion: nil)
    let payload = MessageCodec.payload(of: .prefillProgress(progress))
    #expect(payload.count < 8 * blocks + 32)
    #expect(try Self.progress(payload) == progress)
  }

  @Test("the longest lists that are allowed come back as they were sent")
  func longest() throws {
    let runs = Limits.maximumPromptTokens
    // Every block alone, and each far from the one before.
    let blocks = (0..<runs).map { index in
      let place = index % 2 == 0 ? index : Limits.maximumPoolBlocks - index
      return BlockRange(first: BlockIndex(UInt32(place)), count: 1)
    }
    let ticket = Ticket(
      id: TicketID(high: 1, low: 2), engine: try EngineID("p"), incarnation: Incarnation(3),
      addresses: [], tokenCount: UInt32(runs), blocks: blocks, leaseMilliseconds: 1)
    #expect(try Self.blocks(MessageCodec.payload(of: .prefillAccepted(ticket))) == blocks)
    var random = RandomMessages(seed: 11)
    let stamps = (0..<Limits.maximumProgressBlocks).map { _ in random.next() }
    let progress = PrefillProgress(
      firstBlock: 0, stamps: stamps, checksums: stamps, completion: nil)
    #expect(
      try Self.progress(MessageCodec.payload(of: .prefillProgress(progress))) == progress)
  }

  /// Lists that protobuf accepts and Baton does not, with the field that the error must name.
  private static let refusals: [(MessageType, [UInt8], String)] = [
    (.prefillAccepted, ticket(counts: [1], gaps: []), "Ticket.block_gaps"),
    (.prefillAccepted, ticket(counts: [], gaps: [1]), "Ticket.block_gaps"),
    (.prefillAccepted, ticket(counts: [1, 0], gaps: [1, 1]), "Ticket.block_counts"),
    (.prefillAccepted, ticket(counts: [1 << 20, 1], gaps: [0, 0]), "Ticket.block_counts"),
    (
      .prefillAccepted,
      ticket(
        counts: Array(repeating: UInt64(UInt32.max), count: 9),
        gaps: Array(repeating: 0, count: 9)),
      "Ticket.block_counts"
    ),
    (.prefillAccepted, ticket(counts: [1], gaps: [-1]), "Ticket.block_gaps"),
    (.prefillAccepted, ticket(counts: [1, 1], gaps: [5, -7]), "Ticket.block_gaps"),
    (.prefillAccepted, ticket(counts: [1], gaps: [1 << 24]), "Ticket.block_gaps"),
    (.prefillAccepted, ticket(counts: [2], gaps: [(1 << 24) - 1]), "Ticket.block_gaps"),
    (
      .prefillAccepted, ticket(counts: [1, 1], gaps: [1, Int64(Int32.max)]), "Ticket.block_gaps"
    ),
    (
      .prefillAccepted, ticket(counts: [1, 1], gaps: [1, Int64(Int32.min)]), "Ticket.block_gaps"
    ),
    (.prefillProgress, progress(checksums: 0), "PrefillProgress.first_stamp"),
    (.prefillProgress, progress(checksums: 2, runs: [1]), "PrefillProgress.stamp_jumps"),
    (.prefillProgress, progress(checksums: 2, jumps: [1]), "PrefillProgress.stamp_jumps"),
    (
      .prefillProgress, progress(checksums: 2, runs: [2], jumps: [1]), "PrefillProgress.stamp_runs"
    ),
    (
      .prefillProgress, progress(checksums: 3, runs: [1, 0], jumps: [1, 1]),
      "PrefillProgress.stamp_runs"
    ),
    (
      .prefillProgress,
      progress(
        checksums: 3, runs: Array(repeating: UInt64(UInt32.max), count: 3), jumps: [1, 1, 1]),
      "PrefillProgress.stamp_runs"
    ),
    (
      .prefillProgress, progress(checksums: 0, first: 0, runs: [1], jumps: [1]),
      "PrefillProgress.stamp_runs"
    ),
    (
      .prefillProgress, progress(checksums: Limits.maximumProgressBlocks + 1),
      "PrefillProgress.checksums"
    ),
  ]

  @Test("a list that is not allowed is refused by the field's name", arguments: refusals.indices)
  func refusal(index: Int) {
    let (type, payload, name) = Self.refusals[index]
    let error = #expect(throws: BatonError.self) {
      _ = try Codec.decode(type.rawValue, payload)
    }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains(name) == true, "\(String(describing: error))")
  }

  @Test("a small compressed frame that says the longest lists is refused by the field's name")
  func bombs() throws {
    // Each is some hundred bytes on the wire and 256 KiB or nearly that afterwards.
    let full = Limits.maximumFramePayloadBytes
    let ones = [UInt64](repeating: 1, count: full - 64)
    let halves = [UInt64](repeating: 1, count: full / 2 - 64)
    let cases: [(MessageType, [UInt8], String)] = [
      (.prefillAccepted, Self.ticket(counts: ones, gaps: []), "Ticket.block_gaps"),
      (
        .prefillAccepted, Self.ticket(counts: halves.map { _ in 100 }, gaps: halves.map { _ in 0 }),
        "Ticket.block_counts"
      ),
      (.prefillProgress, Self.progress(checksums: 1, runs: ones), "PrefillProgress.stamp_jumps"),
      (
        .prefillProgress,
        Self.progress(checksums: 1, runs: halves, jumps: halves.map { _ in 1 }),
        "PrefillProgress.stamp_runs"
      ),
    ]
    for (type, payload, name) in cases {
      let compressed = PayloadCompression.compress(payload.span)
      let packed = try #require(compressed)
      #expect(packed.count < 1_024)
      let frame = try FrameTests.frame(
        [.last, .compressed], type: type.rawValue, payload: packed)
      let received = try FrameTests.decode(frame, by: frame.count, limits: .compressed)
      let error = #expect(throws: BatonError.self) {
        _ = try Codec.decode(type.rawValue, received[0].payload)
      }
      #expect(error?.code == .invalidArgument)
      #expect(error?.message.contains(name) == true, "\(String(describing: error))")
    }
  }
}
