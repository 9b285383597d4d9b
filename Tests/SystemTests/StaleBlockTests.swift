import Foundation
import Testing

/// A reader of a block that was freed and reused, at any moment of its read, must find out.
extension SystemTests {
  /// Reads in each mode and reader. By hand, as many as the suite's time limit allows, with
  /// progress after every million:
  ///
  ///     TEST_RACE_READS=100000000 swift test -c release --disable-testable-imports \
  ///       --filter readersBesideWriter
  private static let raceReads =
    ProcessInfo.processInfo.environment["TEST_RACE_READS"].flatMap { Int($0) } ?? 200_000

  @Test(
    "Beside an owner that reuses blocks as fast as it can, a read that is reported good is good",
    arguments: ["copy", "borrow"])
  func readersBesideWriter(mode: String) async throws {
    let owner = try await PoolPeerProcess(
      "owner", engine: "prefill-0", blocks: 16, blockTokens: 64)
    var readers: [PoolPeerProcess] = []
    for index in 0..<2 {
      let reader = try await PoolPeerProcess(
        "reader", engine: "decode-\(index)", blocks: 16, blockTokens: 64)
      try await reader.connect(to: owner)
      readers.append(reader)
    }
    #expect(try await owner.ask("race 8") == "racing")
    for (index, reader) in readers.enumerated() {
      try reader.process.send("race \(mode) \(Self.raceReads) 8 \(index)")
    }
    let stops = try await Self.interrupt(readers, inTurnsOf: owner)
    for reader in readers {
      let counts = try await Self.counts(of: reader)
      print("\(mode): \(counts), stopped \(stops) times")
      #expect(counts.values.reduce(0, +) == Self.raceReads)
      #expect(counts["torn"] == 0)
      #expect(counts["good", default: 0] > 0)
      #expect(counts["stale", default: 0] > 0)
      // A copy that is overtaken says so as one does that comes too late.
      if mode == "borrow" { #expect(counts["overtaken", default: 0] > 0) }
    }
    try owner.process.send("stop")
    try await owner.process.wait(for: "wrote ")
  }

  /// Stops a reader for every turn of the owner's, wherever it is, and continues it a turn later;
  /// returns how often, once both have come to their end.
  private static func interrupt(
    _ readers: [PoolPeerProcess], inTurnsOf owner: PoolPeerProcess
  ) async throws -> Int {
    var stops = 0
    while !readers.allSatisfy({ $0.process.lines.contains { $0.hasPrefix("raced ") } }) {
      let reader = readers[stops % readers.count]
      try await expectTurn(of: owner)
      reader.process.signal(SIGSTOP)
      try await expectTurn(of: owner)
      reader.process.signal(SIGCONT)
      stops += 1
    }
    return stops
  }

  private static func expectTurn(of owner: PoolPeerProcess) async throws {
    let line = try await owner.next()
    try #require(line == "turn")
  }

  private static func counts(of reader: PoolPeerProcess) async throws -> [String: Int] {
    var line = try await reader.next()
    while line.hasPrefix("so far ") {
      print(line)
      line = try await reader.next()
    }
    let words = line.split(separator: " ").map(String.init)
    try #require(words.first == "raced", "\(line)")
    return Dictionary(
      uniqueKeysWithValues: stride(from: 1, to: words.count - 1, by: 2).map {
        (words[$0], Int(words[$0 + 1]) ?? -1)
      })
  }

  @Test(
    "A reader that is stopped in the middle of a read until the lease is over finds out",
    .timeLimit(.minutes(2)), arguments: ["copy", "borrow"])
  func readerStoppedInTheMiddle(mode: String) async throws {
    // Blocks of 2 MiB, so that a copy takes long enough to be stopped in its middle.
    let owner = try await PoolPeerProcess(
      "owner", engine: "prefill-0", blocks: 24, blockTokens: 8_192)
    let reader = try await PoolPeerProcess(
      "reader", engine: "decode-0", blocks: 24, blockTokens: 8_192)
    try await reader.connect(to: owner)
    #expect(try await reader.ask("populated") == "present all of the mapping")
    var outcomes: [String: Int] = [:]
    for round in 0..<10 {
      let lease = try await owner.ask("lease 20").split(separator: " ")
      #expect(lease.first == "leased")
      try reader.process.send("hold \(mode) \(lease[1]) \(lease[2])")
      var line = try await reader.next()
      if line == "held" {
        try await reader.waitUntilStopped()
        #expect(try await owner.next() == "expired")
        // Every other time the blocks are only free, and still hold what they held.
        if round.isMultiple(of: 2) { #expect(try await owner.ask("reuse") == "reused") }
        reader.process.signal(SIGCONT)
        line = try await reader.next()
        #expect(line == (round.isMultiple(of: 2) ? "stale" : "good"))
      } else {
        // A copy that was over before the timer came.
        #expect(mode == "copy" && line == "good")
        #expect(try await owner.next() == "expired")
        line = "not stopped"
      }
      outcomes[line, default: 0] += 1
    }
    print("\(mode), stopped in the middle: \(outcomes)")
    #expect(outcomes["stale", default: 0] > 0)
  }
}
