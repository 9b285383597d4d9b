import BatonRuntime
import ControlProtocol
import ControlTransport
import DecodeService
import Inference
import KVCore
import KVPool
import NIOPosix
import Testing

/// A whole decode engine against prefill engines that do what they should not.
@Suite("A decode engine and its prefill", .serialized, .timeLimit(.minutes(1)))
struct DecodeEngineTests {
  private static let prompt = (0..<40).map { TokenID(2 + $0 * 7 % 900) }
  private static let length = 400

  /// Runs a decode engine and calls `body` with a proxy's connection to it.
  private func withDecode(
    handoff: String, verify: String = "full", kvBlocks: Int = 256,
    _ body: (ControlConnection) async throws -> Void
  ) async throws {
    let address = "unix:@baton-test-\(UInt64.random(in: 0 ... .max))"
    let settings = try SettingsResolver(
      flags: [
        "listen": [address], "name": ["decode-0"], "threads": ["1"], "handoff": [handoff],
        "verify": [verify], "kv-blocks": ["\(kvBlocks)"],
        // Machines that run tests, sanitized ones above all, may stand still for a while.
        "peer-timeout-ms": ["60000"],
      ], environment: [:])
    let service = DecodeEngineService(
      configuration: try EngineConfiguration(role: .decode, settings: settings),
      logger: ScriptedPrefill.logger)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await service.run() }
      let connection = try await proxy(to: try ControlAddress(address))
      try await body(connection)
      connection.close()
      group.cancelAll()
    }
  }

  /// Connects as soon as somebody listens.
  private func proxy(to address: ControlAddress) async throws -> ControlConnection {
    let identity = LocalIdentity(
      engine: try EngineID("proxy"), incarnation: .random(), role: .proxy,
      info: PeerInfo(model: nil, bootID: "", processID: 1, addresses: [], ranks: 1),
      options: ControlOptions(peerTimeout: .seconds(60)))
    while true {
      do {
        return try await ControlClient.connect(
          to: address, identity: identity, group: MultiThreadedEventLoopGroup.singleton,
          logger: ScriptedPrefill.logger)
      } catch let error as BatonError where error.code == .unavailable {
        try Task.checkCancellation()
      }
    }
  }

  private func request(_ ticket: Ticket, length: Int = length) -> Message {
    .decodeRequest(
      DecodeRequest(
        request: RequestID("r"), attempt: 0, ticket: ticket,
        sampling: SamplingParameters(
          temperature: 0, seed: 0, maximumTokens: UInt32(length), ignoresEndTokens: true)))
  }

  private func blocksUsed(_ connection: ControlConnection) async throws -> Double {
    guard
      case .metricsReply(let families) = try await connection.request(
        .metricsRequest, within: .seconds(30)),
      let blocks = families.first(where: { $0.name == "baton_kv_blocks" }),
      let used = blocks.samples.first(where: { $0.labels.contains { $0.value == "used" } })
    else { throw BatonError(.internalError, "the engine does not tell of its blocks") }
    return used.value
  }

  /// Waits until the engine has every block back.
  private func expectNoBlocksUsed(_ connection: ControlConnection) async throws {
    while try await blocksUsed(connection) > 0 { try Task.checkCancellation() }
  }

  @Test(
    "An answer over borrowed or copied blocks is the one that one engine alone writes",
    arguments: ["borrow", "copy"])
  func honest(handoff: String) async throws {
    let prefill = try ScriptedPrefill(prompt: Self.prompt, length: Self.length) {
      [$0.wholeProgress]
    }
    let server = try await prefill.serve()
    try await withDecode(handoff: handoff) { connection in
      var tokens = [prefill.answer[0]]
      for try await case .tokenChunk(let chunk) in try connection.stream(
        request(prefill.ticket), within: .seconds(30))
      {
        #expect(Int(chunk.firstIndex) == tokens.count)
        tokens += chunk.tokens
      }
      #expect(tokens == prefill.answer)
      try await expectNoBlocksUsed(connection)
    }
    await server.shutdown()
  }

  @Test("No token that was computed from a borrowed block after its reuse leaves the engine")
  func reusedWhileBorrowed() async throws {
    let prefill = try ScriptedPrefill(prompt: Self.prompt, length: Self.length) {
      [$0.wholeProgress]
    }
    let server = try await prefill.serve()
    try await withDecode(handoff: "borrow") { connection in
      var tokens = [prefill.answer[0]]
      var failure: BatonError?
      do {
        // Longer than the test could fall behind.
        for try await case .tokenChunk(let chunk) in try connection.stream(
          request(prefill.ticket, length: 3_500), within: .seconds(30))
        {
          tokens += chunk.tokens
          // Its lease has ended, as prefill sees it, and another prompt is read into the block.
          if tokens.count == 4 { try prefill.reuse(prefill.ticket.blocks[0].first) }
        }
      } catch {
        failure = BatonError(wrapping: error)
      }
      #expect(failure?.code == .staleBlock)
      #expect(failure?.message.contains("prefill-0") == true)
      #expect(tokens.count < 3_500)
      #expect(zip(tokens, prefill.answer).allSatisfy { $0 == $1 })
      try await expectNoBlocksUsed(connection)
    }
    await server.shutdown()
  }

  /// What a prefill engine gets wrong, and what decode then says.
  enum Lie: String, CaseIterable {
    case otherStamp, otherChecksum, gap, tooManyBlocks, tooFewBlocks, negativeToken, noVocabulary
    case endsEarly, windowsTwice

    var code: ErrorCode {
      switch self {
      case .otherStamp: .staleBlock
      case .otherChecksum: .checksumMismatch
      // An answer that cannot be read.
      case .negativeToken: .invalidArgument
      case .endsEarly: .peerGone
      case .gap, .tooManyBlocks, .tooFewBlocks, .noVocabulary, .windowsTwice: .protocolViolation
      }
    }

    func progress(of prefill: ScriptedPrefill) -> [PrefillProgress] {
      var whole = prefill.wholeProgress
      switch self {
      case .otherStamp: whole.stamps[1] += 2
      case .gap: whole.firstBlock = 1
      case .otherChecksum: whole.checksums[2] ^= 1
      case .tooManyBlocks:
        whole.stamps.append(2)
        whole.checksums.append(2)
      case .tooFewBlocks:
        whole.stamps.removeLast()
        whole.checksums.removeLast()
      case .negativeToken: whole.completion = prefill.completion(-1)
      case .noVocabulary:
        whole.completion = prefill.completion(TokenID(prefill.engine.model.vocabularySize))
      case .endsEarly: whole.completion = nil
      case .windowsTwice:
        let window = RDMAWindow(
          region: PoolLayout.blocksKey, offset: .zero, length: .zero, remoteKeys: [])
        let windows = PrefillProgress(
          firstBlock: 0, stamps: [], checksums: [], completion: nil, windows: [window])
        whole.windows = [window]
        return [windows, whole]
      }
      return [whole]
    }
  }

  @Test(
    "Progress that cannot be is an error of its own, and costs no block", arguments: Lie.allCases,
    ["borrow", "copy"])
  func lies(lie: Lie, handoff: String) async throws {
    let prefill = try ScriptedPrefill(prompt: Self.prompt, length: 1) { lie.progress(of: $0) }
    let server = try await prefill.serve()
    try await withDecode(handoff: handoff) { connection in
      let error = await #expect(throws: BatonError.self) {
        for try await _ in try connection.stream(
          request(prefill.ticket), within: .seconds(30))
        {}
      }
      #expect(error?.code == lie.code, "\(error?.message ?? "")")
      try await expectNoBlocksUsed(connection)
    }
    await server.shutdown()
  }

  @Test("A wrong checksum is found in copied blocks alone, and only where it is wanted")
  func verification() async throws {
    // The prompt fills two blocks and a half.
    for (handoff, verify, block, isFound) in [
      ("copy", "full", 0, true), ("copy", "off", 0, false), ("copy", "off", 2, false),
      ("borrow", "full", 0, false), ("borrow", "full", 2, true), ("borrow", "off", 2, false),
    ] {
      let prefill = try ScriptedPrefill(prompt: Self.prompt, length: 8) {
        var whole = $0.wholeProgress
        whole.checksums[block] ^= 1 << 63
        return [whole]
      }
      let server = try await prefill.serve()
      try await withDecode(handoff: handoff, verify: verify) { connection in
        var tokens = [prefill.answer[0]]
        var failure: BatonError?
        do {
          let stream = try connection.stream(
            request(prefill.ticket, length: 8), within: .seconds(30))
          for try await case .tokenChunk(let chunk) in stream { tokens += chunk.tokens }
        } catch {
          failure = BatonError(wrapping: error)
        }
        let found = "\(handoff), \(verify), block \(block): \(failure?.message ?? "")"
        #expect(failure?.code == (isFound ? .checksumMismatch : nil), "\(found)")
        #expect(tokens == (isFound ? [prefill.answer[0]] : prefill.answer), "\(found)")
        if isFound {
          #expect(failure?.isRetryable == true)
          let told = prefill.checksums[block]
          for checksum in [told, told ^ 1 << 63] {
            #expect(failure?.message.contains(Hexadecimal.string(checksum)) == true)
          }
        }
        try await expectNoBlocksUsed(connection)
      }
      await server.shutdown()
    }
  }

  @Test("Blocks that prefill wants back are copied home in the middle of the answer")
  func recalled() async throws {
    let prefill = try ScriptedPrefill(prompt: Self.prompt, length: Self.length) {
      [$0.wholeProgress]
    }
    let server = try await prefill.serve()
    try await withDecode(handoff: "borrow") { connection in
      var tokens = [prefill.answer[0]]
      for try await case .tokenChunk(let chunk) in try connection.stream(
        request(prefill.ticket), within: .seconds(30))
      {
        tokens += chunk.tokens
        guard tokens.count == 4 else { continue }
        // Others' tickets are nothing to it.
        #expect(try await prefill.recall([.random()]) == .acknowledged)
        #expect(try await prefill.recall([.random(), prefill.ticket.id]) == .acknowledged)
        for await _ in prefill.released {}
        // From now on prefill may do with them what it likes.
        for block in prefill.ticket.blocks.flatMap(\.blocks) { try prefill.reuse(block) }
      }
      #expect(tokens == prefill.answer)
      try await expectNoBlocksUsed(connection)
    }
    await server.shutdown()
  }

  @Test("Blocks that there is no room for stay borrowed, and the answer is whole")
  func recalledWithoutRoom() async throws {
    let prefill = try ScriptedPrefill(prompt: Self.prompt, length: Self.length) {
      [$0.wholeProgress]
    }
    let server = try await prefill.serve()
    // The two whole blocks of the prompt are borrowed; one less is left for them.
    let blocks = prefill.engine.geometry.blockCount(tokens: Self.prompt.count + Self.length) - 1
    try await withDecode(handoff: "borrow", kvBlocks: blocks) { connection in
      var tokens = [prefill.answer[0]]
      for try await case .tokenChunk(let chunk) in try connection.stream(
        request(prefill.ticket), within: .seconds(30))
      {
        tokens += chunk.tokens
        guard tokens.count == 4 else { continue }
        #expect(try await prefill.recall([prefill.ticket.id]) == .acknowledged)
      }
      #expect(tokens == prefill.answer)
      for await _ in prefill.released {}
      try await expectNoBlocksUsed(connection)
    }
    await server.shutdown()
  }

  @Test("A ticket that is asked for twice is refused the second time, and the first goes on")
  func ticketTwice() async throws {
    let prefill = try ScriptedPrefill(prompt: Self.prompt, length: Self.length) {
      [$0.wholeProgress]
    }
    let server = try await prefill.serve()
    try await withDecode(handoff: "borrow") { connection in
      var tokens = [prefill.answer[0]]
      for try await case .tokenChunk(let chunk) in try connection.stream(
        request(prefill.ticket), within: .seconds(30))
      {
        tokens += chunk.tokens
        guard tokens.count == 4 else { continue }
        let error = await #expect(throws: BatonError.self) {
          for try await _ in try connection.stream(
            request(prefill.ticket), within: .seconds(30))
          {}
        }
        #expect(error?.code == .ticketClaimed)
      }
      #expect(tokens == prefill.answer)
      try await expectNoBlocksUsed(connection)
    }
    await server.shutdown()
  }

  @Test("A ticket of an earlier start of the engine is unknown, and a new one works")
  func earlierIncarnation() async throws {
    let prefill = try ScriptedPrefill(prompt: Self.prompt, length: 2) { [$0.wholeProgress] }
    let server = try await prefill.serve()
    var old = prefill.ticket
    old.incarnation = .random()
    try await withDecode(handoff: "borrow") { connection in
      let error = await #expect(throws: BatonError.self) {
        for try await _ in try connection.stream(request(old), within: .seconds(30)) {}
      }
      #expect(error?.code == .ticketUnknown)
      #expect(error?.isRetryable == true)
      for try await _ in try connection.stream(
        request(prefill.ticket, length: 2), within: .seconds(30))
      {}
      try await expectNoBlocksUsed(connection)
    }
    await server.shutdown()
  }

  @Test("A ticket whose lease could end between two renewals is refused with both numbers")
  func shortLease() async throws {
    let prefill = try ScriptedPrefill(prompt: Self.prompt, length: 1) { [$0.wholeProgress] }
    var ticket = prefill.ticket
    ticket.leaseMilliseconds = 1_500
    try await withDecode(handoff: "borrow") { connection in
      let error = await #expect(throws: BatonError.self) {
        for try await _ in try connection.stream(
          request(ticket), within: .seconds(30))
        {}
      }
      #expect(error?.code == .incompatible)
      for number in ["1500", "\(Limits.leaseRenewalMilliseconds)"] {
        #expect(error?.message.contains(number) == true)
      }
    }
  }

  @Test("A claim that fails is noticed although there is no room for the sequence yet")
  func failsWhileWaiting() async throws {
    let honest = try ScriptedPrefill(prompt: Self.prompt, length: 1) { [$0.wholeProgress] }
    let lying = try ScriptedPrefill("prefill-1", prompt: Self.prompt, length: 1) {
      Lie.gap.progress(of: $0)
    }
    let servers = [try await honest.serve(), try await lying.serve()]
    try await withDecode(handoff: "copy") { connection in
      // Takes nearly the whole pool for a long time.
      let running = try connection.stream(
        request(honest.ticket, length: 4_000), within: .seconds(30))
      var chunks = running.makeAsyncIterator()
      _ = try await chunks.next()
      let error = await #expect(throws: BatonError.self) {
        for try await _ in try connection.stream(
          request(lying.ticket), within: .seconds(30))
        {}
      }
      #expect(error?.code == .protocolViolation)
      #expect(try await blocksUsed(connection) > 200)
    }
    for server in servers { await server.shutdown() }
  }
}
