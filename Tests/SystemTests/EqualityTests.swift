import Foundation
import TestSupport
import Testing

extension SystemTests {
  /// 64 prompts of 1 to 2,000 random tokens, the same in every run.
  static let prompts: [[Int]] = {
    var generator = SplitMix64(seed: 20)
    return (0..<64).map { index in
      // The shortest, the longest, and block borders are always among them.
      let edges = [1, 2, 15, 16, 17, 31, 32, 33, 255, 256, 257, 2_000]
      let count = index < edges.count ? edges[index] : Int.random(in: 1...2_000, using: &generator)
      return (0..<count).map { _ in Int.random(in: 2..<1_000, using: &generator) }
    }
  }()

  static func queries(temperature: Double) -> [CompletionQuery] {
    prompts.enumerated().map { index, prompt in
      CompletionQuery(prompt: prompt, temperature: temperature, seed: 100 + index)
    }
  }

  /// The tokens of every answer, asked for by eight clients at once.
  static func answers(_ fleet: RunningFleet, _ queries: [CompletionQuery]) async throws -> [[Int]] {
    try await withThrowingTaskGroup(of: (Int, [Int]).self) { group in
      var answers = Array(repeating: [Int](), count: queries.count)
      for (index, query) in queries.enumerated() {
        if index >= 8, let (done, tokens) = try await group.next() { answers[done] = tokens }
        group.addTask { (index, try await fleet.complete(query).choices[0].token_ids ?? []) }
      }
      for try await (done, tokens) in group { answers[done] = tokens }
      return answers
    }
  }

  @Test("Greedy and seeded answers through prefill and decode equal the hybrid engine's")
  func equalAnswers() async throws {
    let queries = Self.queries(temperature: 0) + Self.queries(temperature: 0.9)
    let hybrid = try await RunningFleet(["--prefill", "0", "--decode", "0", "--hybrid", "1"])
    let expected = try await Self.answers(hybrid, queries)
    #expect(await hybrid.stop() == 0)
    #expect(expected.allSatisfy { $0.count == 24 })
    #expect(Set(expected).count > queries.count / 2, "the answers differ from each other")

    for (mode, transport) in [("borrow", "shm"), ("copy", "shm"), ("copy", "tcp")] {
      let fleet = try await RunningFleet(["--handoff", mode, "--transport", transport])
      let answers = try await Self.answers(fleet, queries)
      for (index, (answer, wanted)) in zip(answers, expected).enumerated() {
        #expect(answer == wanted, "\(mode) over \(transport), query \(index)")
      }
      let migrations = try await fleet.metric(
        "baton_migrations_total", "mode=\"\(mode)\"", "result=\"ok\"",
        "transport=\"\(transport)\"")
      #expect(migrations == Double(queries.count))
      #expect(try await fleet.metric("baton_requests_total", "outcome=\"ok\"") == migrations)
      #expect(await fleet.stop() == 0)
    }
  }
}
