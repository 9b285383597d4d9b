import Foundation
import Testing

extension SystemTests {
  /// Decode renews what it borrows every 10 s, so nothing short of stopping the process makes a
  /// lease of 30 s expire under it; and its peers would not wait so long without being told to.
  @Test("A decode engine that is stopped until its borrowed blocks are reused sends no wrong token")
  func decodeStopped() async throws {
    var query = CompletionQuery(
      prompt: Array(Self.prompts[11].prefix(1_000)), max_tokens: 1_000, temperature: 0.8, seed: 3)
    let hybrid = try await RunningFleet(["--prefill", "0", "--decode", "0", "--hybrid", "1"])
    let expected = try await hybrid.complete(query).choices[0].token_ids ?? []
    #expect(await hybrid.stop() == 0)
    #expect(expected.count == query.max_tokens)

    // Room for two prompts: the second of those that come now has to wait for the first's blocks.
    let fleet = try await RunningFleet([
      "--handoff", "borrow", "--kv-blocks", "160", "--peer-timeout-ms", "600000",
    ])
    let stream = try fleet.stream(query)
    try await RunningFleet.waitForDecode(stream)
    kill(try fleet.processID(of: "decode-0"), SIGSTOP)
    query.prompt = Array(Self.prompts[11].suffix(1_000))
    query.max_tokens = 10
    let others = try (0..<2).map { _ in try fleet.stream(query) }
    var prefilled = 0
    try await fleet.up.first { line -> Bool? in
      if line.contains("prefilled") { prefilled += 1 }
      return prefilled >= 3 ? true : nil
    }
    kill(try fleet.processID(of: "decode-0"), SIGCONT)
    await stream.waitForEndOfOutput()
    #expect(RunningFleet.tokens(of: stream) == expected)
    #expect(stream.lines.contains("data: [DONE]"))
    #expect(
      fleet.up.lines.contains {
        $0.contains("attempt failed, starting again") && $0.contains("STALE_BLOCK")
      })
    for other in others {
      await other.waitForEndOfOutput()
      #expect(other.lines.contains("data: [DONE]"))
    }
    #expect(await fleet.stop() == 0)
  }
}
