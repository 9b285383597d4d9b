import Foundation
import Testing

extension SystemTests {
  /// A prompt of whole blocks and a part, and an answer that takes a while.
  private static let longQuery = CompletionQuery(
    prompt: Array(prompts[11].prefix(1_000)), max_tokens: 600, temperature: 0.8, seed: 3)

  private func expectedTokens(of query: CompletionQuery) async throws -> [Int] {
    let hybrid = try await RunningFleet(["--prefill", "0", "--decode", "0", "--hybrid", "1"])
    let tokens = try await hybrid.complete(query).choices[0].token_ids ?? []
    #expect(await hybrid.stop() == 0)
    #expect(tokens.count == query.max_tokens)
    return tokens
  }

  /// Kills a process of the fleet when the second chunk of a long answer has come; the answer must
  /// be whole and right, and the next request must work.
  private func killDuringAnswer(_ victim: String, flags: [String], logged: String) async throws {
    let expected = try await expectedTokens(of: Self.longQuery)
    let fleet = try await RunningFleet(flags)
    let process = try fleet.processID(of: victim)
    let stream = try fleet.stream(Self.longQuery)
    try await RunningFleet.waitForDecode(stream)
    kill(process, SIGKILL)
    await stream.waitForEndOfOutput()
    #expect(RunningFleet.tokens(of: stream) == expected)
    #expect(stream.lines.contains("data: [DONE]"))
    #expect(fleet.up.lines.contains { $0.contains(logged) }, "the log tells: \(logged)")

    var query = Self.longQuery
    query.max_tokens = 20
    let next = try await fleet.complete(query)
    #expect(next.choices.first?.token_ids == Array(expected.prefix(20)))
    #expect(try fleet.processID(of: victim) != process)
    #expect(await fleet.stop() == 0)
  }

  @Test("A prefill engine killed after the hand-over leaves a borrowed answer whole and right")
  func prefillKilledWhileBorrowed() async throws {
    try await killDuringAnswer(
      "prefill-0", flags: ["--handoff", "borrow"], logged: "borrowed blocks copied home")
  }

  @Test(
    "A prefill engine killed after the hand-over leaves a copied answer whole and right",
    arguments: ["shm", "tcp"])
  func prefillKilledAfterCopy(transport: String) async throws {
    try await killDuringAnswer(
      "prefill-0", flags: ["--handoff", "copy", "--transport", transport], logged: "link lost")
  }

  @Test("A decode engine killed in the middle of an answer costs the client nothing")
  func decodeKilled() async throws {
    try await killDuringAnswer(
      "decode-0", flags: ["--handoff", "borrow"], logged: "attempt failed, starting again")
  }

  @Test(
    "Engines killed one after the other, while eight clients read, cost no client anything",
    arguments: ["shm", "tcp"])
  func killedInTurn(transport: String) async throws {
    let queries = (0..<32).map { index in
      CompletionQuery(
        prompt: Self.prompts[12 + index], max_tokens: 300, temperature: 0.8, seed: index)
    }
    let hybrid = try await RunningFleet(["--prefill", "0", "--decode", "0", "--hybrid", "1"])
    let expected = try await Self.answers(hybrid, queries)
    #expect(await hybrid.stop() == 0)

    let fleet = try await RunningFleet([
      "--prefill", "2", "--decode", "2", "--transport", transport,
    ])
    let answers = try await withThrowingTaskGroup(of: [[Int]].self) { group in
      group.addTask { try await Self.answers(fleet, queries) }
      group.addTask {
        try await Self.killInTurn(fleet)
        return []
      }
      // The first to fail ends the other, and the test.
      return try await group.reduce([]) { $0 + $1 }
    }
    #expect(answers == expected)
    #expect(fleet.up.lines.contains { $0.contains("attempt failed, starting again") })
    #expect(await fleet.stop() == 0)
  }

  /// Kills engines of a fleet of two and two, one for every four hand-overs.
  private static func killInTurn(_ fleet: RunningFleet) async throws {
    let victims = ["decode-0", "prefill-1", "decode-1", "prefill-0", "decode-0", "prefill-1"]
    for (index, victim) in victims.enumerated() {
      var arrived = 0
      try await fleet.up.first { line -> Bool? in
        if line.contains("KV arrived") { arrived += 1 }
        return arrived >= 4 * (index + 1) ? true : nil
      }
      // A victim of before that is not back yet is left alone.
      if let process = try? fleet.processID(of: victim) { kill(process, SIGKILL) }
    }
  }

  /// Starts a stream, lets its client go away at a moment, and waits until no block is used.
  private func leave(
    _ query: CompletionQuery, when moment: (RunningFleet, ChildProcess) async throws -> Void
  ) async throws {
    let fleet = try await RunningFleet([])
    let stream = try fleet.stream(query)
    try await moment(fleet, stream)
    stream.signal(SIGKILL)
    // The edge tells of the cancellation; only then is there something to count.
    try await fleet.up.wait(for: "outcome=cancelled")
    try await expectNoBlocksUsed(fleet)
    #expect(try await fleet.metric("baton_requests_total", "outcome=\"cancelled\"") == 1)
    #expect(await fleet.stop() == 0)
  }

  /// Waits until both engines of a fleet have every block back.
  private func expectNoBlocksUsed(_ fleet: RunningFleet) async throws {
    for engine in ["prefill-0", "decode-0"] {
      while try await fleet.metric(
        "baton_kv_blocks", "engine=\"\(engine)\"", "state=\"used\"") > 0
      {
        try Task.checkCancellation()
      }
    }
  }

  @Test("A client that goes away during decode frees every block", .timeLimit(.minutes(1)))
  func clientLeavesDuringDecode() async throws {
    var query = Self.longQuery
    query.max_tokens = 2_500
    try await leave(query) { fleet, stream in
      try await stream.first { RunningFleet.chunk($0).map { _ in true } }
      #expect(try await fleet.metric("baton_kv_blocks", "state=\"used\"") > 0)
    }
  }

  @Test("A client that goes away during prefill frees every block", .timeLimit(.minutes(1)))
  func clientLeavesDuringPrefill() async throws {
    var query = Self.longQuery
    query.prompt = Array(Self.prompts.joined().prefix(4_000))
    query.max_tokens = 90
    try await leave(query) { fleet, _ in
      try await fleet.up.wait(for: "completion started")
    }
  }

  @Test("Clients that leave at any moment leave no block behind", .timeLimit(.minutes(1)))
  func clientsLeave() async throws {
    let fleet = try await RunningFleet([])
    let count = 60
    for index in 0..<count {
      let query = CompletionQuery(
        prompt: Array(Self.prompts[11].prefix(50 + index % 4 * 50)), max_tokens: 200)
      let stream = try fleet.stream(query)
      var started = 0
      try await fleet.up.first { line -> Bool? in
        if line.contains("completion started") { started += 1 }
        return started > index ? true : nil
      }
      // Later each time: during prefill, during the hand-over, during decode.
      for _ in 0..<index * 200 { await Task.yield() }
      stream.signal(SIGKILL)
    }
    var ended = 0
    try await fleet.up.first { line -> Bool? in
      if line.contains("completion ended") { ended += 1 }
      return ended == count ? true : nil
    }
    try await expectNoBlocksUsed(fleet)
    // They came back because the clients were gone, and not because nobody renewed their leases.
    #expect(!fleet.up.lines.contains { $0.contains("lease expired") })
    #expect(await fleet.stop() == 0)
  }

  @Test(
    "kill -9 of the supervisor ends every process and leaves no file behind",
    .timeLimit(.minutes(1)))
  func supervisorKilled() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let before = try leftovers()
    let fleet = try await RunningFleet([], environment: ["TMPDIR": folder.path])
    _ = try await fleet.complete(CompletionQuery(prompt: Self.prompts[10]))
    let children = try fleet.children()
    #expect(children.count == 3)
    fleet.up.signal(SIGKILL)
    // The children hold the other end of the output, so it ends with the last of them.
    await fleet.up.waitForEndOfOutput()
    while children.contains(where: ProcessTable.isRunning) {
      try Task.checkCancellation()
      await Task.yield()
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
    // The kernel takes a dying process's sockets away a moment after its threads.
    while try !leftovers().isSubset(of: before) {
      try Task.checkCancellation()
      await Task.yield()
    }
  }

  /// What processes could forget: shared memory and sockets with names.
  private func leftovers() throws -> Set<String> {
    let shared = (try? FileManager.default.contentsOfDirectory(atPath: "/dev/shm")) ?? []
    let sockets = try String(contentsOfFile: "/proc/net/unix", encoding: .utf8)
      .split(separator: "\n").filter { $0.contains("baton") }.map(String.init)
    return Set(shared + sockets)
  }

  @Test("A wrong flag, value or model is refused with what would be right")
  func wrongFlags() async throws {
    let cases: [([String], [String])] = [
      (["up", "--handoff", "steal"], ["--handoff", "steal", "borrow", "copy"]),
      (["up", "--prefill", "minus"], ["--prefill", "minus"]),
      (["up", "--prefill", "0", "--decode", "0"], ["--prefill", "--decode", "--hybrid"]),
      (["proxy"], ["--prefill", "--decode"]),
      (["prefill", "--listen", "nowhere"], ["--listen", "nowhere", "HOST:PORT"]),
      (["decode", "--model", "/nonexistent"], ["/nonexistent", "config.json"]),
      (["prefill", "--listen", "0.0.0.0:8199"], ["0.0.0.0", "--cluster-key-file"]),
      (["fly"], ["fly"]),
    ]
    for (arguments, words) in cases {
      let process = try ChildProcess(RunningFleet.baton, arguments)
      let status = await process.exitStatus()
      let text = process.lines.joined(separator: "\n")
      #expect(status != 0 && status < 128, "\(arguments): \(status)")
      for word in words { #expect(text.contains(word), "\(arguments): \(text)") }
    }
  }
}
