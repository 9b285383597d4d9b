import Foundation
import Testing

/// What becomes of borrowed blocks when an engine dies, stops, or has too few.
extension SystemTests {
  /// 125 blocks of prompt and 107 of answer.
  private static let longQuery = CompletionQuery(
    prompt: (0..<2_000).map { 2 + $0 * 7 % 900 }, max_tokens: 1_700, temperature: 0.8, seed: 5)
  private static let shortQuery = CompletionQuery(
    prompt: (0..<2_000).map { 2 + $0 * 11 % 900 }, max_tokens: 20, temperature: 0.8, seed: 6)
  /// A pool that has room for one of the prompts, or for the long one and its answer.
  private static let smallPool = ["--kv-blocks", "240", "--handoff", "borrow"]

  private func expectedTokens(of queries: [CompletionQuery]) async throws -> [[Int]] {
    let hybrid = try await RunningFleet(["--prefill", "0", "--decode", "0", "--hybrid", "1"])
    let tokens = try await Self.answers(hybrid, queries)
    #expect(await hybrid.stop() == 0)
    return tokens
  }

  /// Starts the long answer; returns when its second chunk has come.
  private func startLongAnswer(_ fleet: RunningFleet) async throws -> ChildProcess {
    let stream = try fleet.stream(Self.longQuery)
    var chunks = 0
    try await stream.first { line -> Bool? in
      if RunningFleet.chunk(line) != nil { chunks += 1 }
      return chunks >= 2 ? true : nil
    }
    return stream
  }

  /// The tokens of a stream, once it has ended as it should.
  private func tokens(of stream: ChildProcess) async -> [Int] {
    await stream.waitForEndOfOutput()
    #expect(stream.lines.contains("data: [DONE]"))
    return stream.lines.compactMap(RunningFleet.chunk).flatMap {
      $0.choices.first?.token_ids ?? []
    }
  }

  /// The pools that a process has mapped, by the inodes of their files.
  private func pools(of process: Int32) throws -> Set<Substring> {
    let maps = try String(contentsOfFile: "/proc/\(process)/maps", encoding: .utf8)
    return Set(
      maps.split(separator: "\n").filter { $0.contains("baton-kv-pool") }.compactMap { line in
        // Addresses, permissions, offset, device, inode, path (proc(5)).
        line.split(separator: " ", omittingEmptySubsequences: true).dropFirst(4).first
      })
  }

  private func expectNoBlocksUsed(_ fleet: RunningFleet, _ engine: String) async throws {
    while try await fleet.metric(
      "baton_kv_blocks", "engine=\"\(engine)\"", "state=\"used\"") > 0
    {
      try Task.checkCancellation()
    }
  }

  @Test("A decode engine that is killed gives prefill its blocks back at once")
  func decodeKilledWhileBorrowing() async throws {
    let expected = try await expectedTokens(of: [Self.longQuery])
    // Prefill cannot read the prompt again before it has the blocks back.
    let fleet = try await RunningFleet(Self.smallPool)
    let stream = try await startLongAnswer(fleet)
    kill(try fleet.processID(of: "decode-0"), SIGKILL)
    try await fleet.up.wait(for: "link closed")
    #expect(await tokens(of: stream) == expected[0])
    try await expectNoBlocksUsed(fleet, "prefill-0")
    let lines = fleet.up.lines
    // When the first of the two signals came, the word had told already: the kernel marks it first.
    #expect(lines.contains { $0.contains("link closed") && $0.contains("process=ended") })
    #expect(!lines.contains { $0.contains("lease expired") })
    #expect(await fleet.stop() == 0)
  }

  @Test(
    "A prefill engine that is killed leaves its memory until the last block is home, and is back")
  func prefillKilledWhileLending() async throws {
    let queries = [Self.longQuery, Self.shortQuery]
    let expected = try await expectedTokens(of: queries)
    let fleet = try await RunningFleet(Self.smallPool)
    let (prefill, decode) = try (
      fleet.processID(of: "prefill-0"), fleet.processID(of: "decode-0")
    )
    let stream = try await startLongAnswer(fleet)
    let old = try #require(try pools(of: prefill).first)
    #expect(try pools(of: decode).contains(old))
    kill(prefill, SIGKILL)
    try await fleet.up.wait(for: "borrowed blocks copied home")
    while try pools(of: decode).contains(old) {
      try Task.checkCancellation()
      await Task.yield()
    }
    let next = try await fleet.complete(Self.shortQuery)
    #expect(next.choices.first?.token_ids == expected[1])
    #expect(await tokens(of: stream) == expected[0])
    let lines = fleet.up.lines
    #expect(lines.contains { $0.contains("link lost") && $0.contains("process=ended") })
    #expect(lines.count { $0.contains("link set up") } == 2)
    // Nothing of the long answer had to be done again.
    #expect(try fleet.processID(of: "decode-0") == decode)
    let migrations = try await fleet.metric("baton_migrations_total", "result=\"ok\"")
    #expect(migrations == 2)
    #expect(try pools(of: decode).count == 2)
    #expect(await fleet.stop() == 0)
  }

  @Test("A small prefill pool keeps working while a long answer reads what it has lent")
  func smallPrefillPool() async throws {
    let queries = [Self.longQuery, Self.shortQuery]
    let expected = try await expectedTokens(of: queries)
    let fleet = try await RunningFleet(Self.smallPool + ["--recall-below", "0"])
    let stream = try await startLongAnswer(fleet)
    let short = try await fleet.complete(Self.shortQuery)
    #expect(short.choices.first?.token_ids == expected[1])
    #expect(await tokens(of: stream) == expected[0])
    let lines = fleet.up.lines
    let prefilled = lines.indices.filter { lines[$0].contains(" prefilled ") }
    let decoded = try #require(lines.firstIndex { $0.contains("tokens=1699") })
    #expect(prefilled.count == 2 && prefilled[1] < decoded, "the second prompt has not waited")
    #expect(lines.contains { $0.contains("lent blocks are wanted back") })
    #expect(lines.contains { $0.contains("borrowed blocks copied home") })
    #expect(!lines.contains { $0.contains("link lost") })
    #expect(await fleet.stop() == 0)
  }

  @Test("A prefill engine that is told to stop waits until its blocks are home")
  func prefillDrains() async throws {
    let expected = try await expectedTokens(of: [Self.longQuery])
    let fleet = try await RunningFleet(Self.smallPool)
    let prefill = try fleet.processID(of: "prefill-0")
    let stream = try await startLongAnswer(fleet)
    kill(prefill, SIGTERM)
    try await fleet.up.wait(for: "drained remaining=0")
    #expect(await tokens(of: stream) == expected[0])
    let lines = fleet.up.lines
    let home = try #require(lines.firstIndex { $0.contains("borrowed blocks copied home") })
    // The lines of one process are in order; prefill's are not comparable with them.
    let lost = lines.firstIndex { $0.contains("link lost") }
    #expect(lost.map { home < $0 } ?? true)
    #expect(!lines.contains { $0.contains("attempt failed") })
    #expect(await fleet.stop() == 0)
  }

  @Test("A prompt that can never fit is refused at once, with both numbers")
  func neverFits() async throws {
    let fleet = try await RunningFleet(Self.smallPool)
    var query = Self.shortQuery
    query.prompt += query.prompt
    let body = try JSONEncoder().encode(query)
    let answer = try fleet.curl(
      ["-i", "-d", String(decoding: body, as: UTF8.self), fleet.url + "/v1/completions"])
    await answer.waitForEndOfOutput()
    let text = answer.lines.joined(separator: "\n")
    #expect(text.hasPrefix("HTTP/1.1 400"))
    for number in ["250 KV blocks", "has 240"] { #expect(text.contains(number), "\(text)") }
    #expect(await fleet.stop() == 0)
  }
}
