import Foundation
import Testing

extension SystemTests {
  /// How much is asked of a fleet that must not grow. By hand:
  ///
  ///     TEST_FLAT_REQUESTS=10000 TEST_FLAT_RESTARTS=100 swift test -c release \
  ///       --disable-testable-imports --filter staysFlat
  private static let flatRequests = setting("TEST_FLAT_REQUESTS") ?? 300
  private static let flatRestarts = setting("TEST_FLAT_RESTARTS") ?? 5

  private static func setting(_ name: String) -> Int? {
    ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
  }

  /// Above what is there after the first requests. A pool that is not let go of would be more.
  private static let moreMebibytes = 48
  /// Threads that come and go have stacks, and the allocator keeps what it once had.
  private static let moreMappings = 24

  @Test(
    "Requests and restarts of prefill leave descriptors, mappings and memory as they were",
    arguments: ["borrow", "copy"])
  func staysFlat(handoff: String) async throws {
    let fleet = try await RunningFleet(["--handoff", handoff, "--kv-blocks", "2048"])
    // What is made once for all is there when both kinds of events have happened.
    try await ask(fleet, count: 60)
    try await restartPrefill(fleet)
    try await ask(fleet, count: 60)

    let all = ["proxy", "prefill-0", "decode-0"]
    let before = try holdings(fleet, of: all)
    try await ask(fleet, count: Self.flatRequests)
    try await expectFlat(fleet, since: before, "\(handoff), \(Self.flatRequests) requests")

    let survivors = before.filter { $0.key != "prefill-0" }
    for _ in 0..<Self.flatRestarts {
      try await restartPrefill(fleet)
      try await ask(fleet, count: 10)
    }
    try await expectFlat(fleet, since: survivors, "\(handoff), \(Self.flatRestarts) restarts")
    #expect(await fleet.stop() == 0)
  }

  /// Prompts of whole blocks and parts, and answers short enough for many of them.
  private func ask(_ fleet: RunningFleet, count: Int) async throws {
    let query = CompletionQuery(prompt: Array(Self.prompts[11].prefix(100)), max_tokens: 4)
    let statuses = try await fleet.statuses(of: query, count: count)
    #expect(statuses == Array(repeating: 200, count: count))
  }

  /// Kills prefill while decode has blocks of it, and waits until it serves again.
  private func restartPrefill(_ fleet: RunningFleet) async throws {
    let query = CompletionQuery(prompt: Array(Self.prompts[11].prefix(100)), max_tokens: 100)
    let stream = try fleet.stream(query)
    try await RunningFleet.waitForDecode(stream)
    let old = try fleet.processID(of: "prefill-0")
    kill(old, SIGKILL)
    await stream.waitForEndOfOutput()
    #expect(stream.lines.contains("data: [DONE]"))
    // Until another process is there, the proxy may be ready with the one that has ended.
    while (try? fleet.processID(of: "prefill-0")) ?? old == old {
      try Task.checkCancellation()
      await Task.yield()
    }
    #expect(try await fleet.status("/readiness", patience: true) == 200)
  }

  private func holdings(
    _ fleet: RunningFleet, of names: [String]
  ) throws -> [String: ProcessTable.Holdings] {
    try Dictionary(
      uniqueKeysWithValues: names.map { name in
        (name, try ProcessTable.holdings(of: fleet.processID(of: name)))
      })
  }

  private func expectFlat(
    _ fleet: RunningFleet, since before: [String: ProcessTable.Holdings], _ what: String
  ) async throws {
    var after = try holdings(fleet, of: Array(before.keys))
    // Connections of clients that are gone are closed a little later.
    for _ in 0..<100 where !isFlat(after, since: before) {
      _ = try await fleet.status("/health")
      after = try holdings(fleet, of: Array(before.keys))
    }
    for (name, old) in before.sorted(by: { $0.key < $1.key }) {
      let now = try #require(after[name])
      print("\(what): \(name) had \(old); has \(now)")
    }
    #expect(isFlat(after, since: before), "\(what)")
  }

  private func isFlat(
    _ after: [String: ProcessTable.Holdings], since before: [String: ProcessTable.Holdings]
  ) -> Bool {
    before.allSatisfy { name, old in
      guard let now = after[name] else { return false }
      return now.descriptors <= old.descriptors && now.memories <= old.memories
        && now.mappings <= old.mappings + Self.moreMappings
        && now.residentMebibytes <= old.residentMebibytes + Self.moreMebibytes
    }
  }
}
