import Foundation
import Testing

extension SystemTests {
  /// Proxy and prefill engines on the first node, decode on the second, with a cluster key.
  private final class Fleet: Sendable {
    let nodes: TwoNodes
    let prefills: [ChildProcess]
    let decode: ChildProcess
    let proxy: ChildProcess
    private let keyFile: URL

    init(prefills count: Int) async throws {
      let nodes = try TwoNodes()
      self.nodes = nodes
      keyFile = FileManager.default.temporaryDirectory
        .appending(path: "baton-key-\(UUID().uuidString)")
      let key = (0..<32).map { _ in String(format: "%02x", UInt8.random(in: 0...255)) }.joined()
      guard
        FileManager.default.createFile(
          atPath: keyFile.path(), contents: Data(key.utf8), attributes: [.posixPermissions: 0o600])
      else { throw OutputEnded(lines: ["no key file"]) }
      let common = ["--cluster-key-file", keyFile.path()]
      var prefills: [ChildProcess] = []
      for place in 0..<count {
        prefills.append(
          try await nodes.engine(
            "prefill", "prefill-\(place)", on: .first, port: 8_101 + place,
            common + ["--log-level", "debug"]))
      }
      self.prefills = prefills
      decode = try await nodes.engine("decode", "decode-0", on: .second, port: 8_101, common)
      let addresses = (0..<count).flatMap {
        ["--prefill-address", "\(TwoNodes.Node.first.address):\(8_101 + $0)"]
      }
      proxy = try nodes.start(
        on: .first, RunningFleet.baton,
        ["proxy", "--port", "8000", "--decode-address", "\(TwoNodes.Node.second.address):8101"]
          + addresses + common)
      let ready = try curl(
        ["--retry", "100", "--retry-delay", "1", "--retry-all-errors", "-f"], "/readiness")
      await ready.waitForEndOfOutput()
    }

    deinit { try? FileManager.default.removeItem(at: keyFile) }

    /// Asks the proxy from its own node.
    func curl(_ arguments: [String], _ path: String) throws -> ChildProcess {
      try nodes.start(
        on: .first, "/usr/bin/curl",
        ["-sS", "--max-time", "120", "-H", "Content-Type: application/json"] + arguments
          + ["http://127.0.0.1:8000" + path])
    }

    func ask(_ query: CompletionQuery) throws -> ChildProcess {
      let body = String(decoding: try JSONEncoder().encode(query), as: UTF8.self)
      return try curl(["-d", body], "/v1/completions")
    }

    func tokens(_ query: CompletionQuery) async throws -> [Int] {
      let answer = try ask(query)
      await answer.waitForEndOfOutput()
      return try Self.tokens(answer)
    }

    /// The prefill engine whose ticket decode has just claimed, while the prompt is being read.
    func claimed() async throws -> ChildProcess {
      let prefill = try await withThrowingTaskGroup(of: ChildProcess.self) { group in
        for prefill in prefills {
          group.addTask {
            try await prefill.wait(for: "ticket claimed")
            return prefill
          }
        }
        defer { group.cancelAll() }
        return try await group.next()
      }
      return try #require(prefill)
    }

    static func tokens(_ answer: ChildProcess) throws -> [Int] {
      let text = answer.lines.joined()
      guard
        let answer = try? JSONDecoder().decode(CompletionAnswer.self, from: Data(text.utf8))
      else { throw OutputEnded(lines: [text]) }
      return answer.choices.first?.token_ids ?? []
    }
  }

  private static let nodesCanBeHad = ConditionTrait.enabled(
    if: TwoNodes.obstacle == nil, "two nodes: \(TwoNodes.obstacle ?? "")")

  @Test("Answers of engines on two nodes equal the hybrid engine's, over TCP", nodesCanBeHad)
  func twoNodes() async throws {
    let queries = Array(Self.queries(temperature: 0.9).prefix(24))
    let hybrid = try await RunningFleet(["--prefill", "0", "--decode", "0", "--hybrid", "1"])
    let expected = try await Self.answers(hybrid, queries)
    #expect(await hybrid.stop() == 0)

    let fleet = try await Fleet(prefills: 1)
    for (query, wanted) in zip(queries, expected) {
      #expect(try await fleet.tokens(query) == wanted)
    }
    let metrics = try fleet.curl([], "/metrics")
    await metrics.waitForEndOfOutput()
    #expect(
      metrics.lines.contains(
        #"baton_migrations_total{transport="tcp",mode="copy",result="ok"} \#(queries.count)"#))
    #expect(fleet.decode.lines.contains { $0.contains("transport cannot be used") })
  }

  @Test(
    "A prefill engine killed in the middle of a migration between nodes costs the client nothing",
    nodesCanBeHad)
  func prefillNodeKilled() async throws {
    let query = CompletionQuery(
      prompt: Array(Self.prompts.joined().prefix(3_900)), temperature: 0.8, seed: 5)
    let hybrid = try await RunningFleet(["--prefill", "0", "--decode", "0", "--hybrid", "1"])
    let expected = try await hybrid.complete(query).choices[0].token_ids
    #expect(await hybrid.stop() == 0)

    let fleet = try await Fleet(prefills: 2)
    let answer = try fleet.ask(query)
    kill(try await fleet.claimed().processID, SIGKILL)
    await answer.waitForEndOfOutput()
    #expect(try Fleet.tokens(answer) == expected)
    #expect(fleet.proxy.lines.contains { $0.contains("attempt failed, starting again") })
  }

  @Test(
    "A network that goes away in the middle of a migration is an error, and both ends let go",
    nodesCanBeHad)
  func networkCut() async throws {
    let query = CompletionQuery(
      prompt: Array(Self.prompts.joined().prefix(3_900)), temperature: 0.8, seed: 5)
    let fleet = try await Fleet(prefills: 1)
    let answer = try fleet.ask(query)
    _ = try await fleet.claimed()
    try fleet.nodes.cut()
    await answer.waitForEndOfOutput()
    #expect(throws: OutputEnded.self) { try Fleet.tokens(answer) }
    #expect(answer.lines.joined().contains("\"error\""))
    try await fleet.decode.wait(for: "link lost")
    try await fleet.prefills[0].wait(for: "link closed")
  }
}
