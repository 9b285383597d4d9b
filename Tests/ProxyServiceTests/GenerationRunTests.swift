import ControlProtocol
import ControlTransport
import KVCore
import ProxyService
import Testing

@Suite("A request on its way through the fleet", .timeLimit(.minutes(1)))
struct GenerationRunTests {
  private static let ticket = Ticket(
    id: TicketID(high: 1, low: 2), engine: prefillName, incarnation: Incarnation(3),
    addresses: ["unix:@nobody"], tokenCount: 1,
    blocks: [BlockRange(first: BlockIndex(0), count: 1)], leaseMilliseconds: 30_000)

  private static let prefillName: EngineID = {
    do {
      return try EngineID("prefill-0")
    } catch {
      preconditionFailure("\(error)")
    }
  }()

  /// Prefill as it should be: token 97 comes first, and whatever else is asked is done.
  private static let prefill: ScriptedFleet.Script = { message, reply in
    guard case .prefillRequest = message else { return reply.send(.acknowledged, last: true) }
    reply.send(.prefillAccepted(ticket), last: false)
    let done = PrefillDone(
      firstToken: 97, finish: nil, queuedMicroseconds: 1, computedMicroseconds: 1)
    reply.send(.prefillDone(done), last: true)
  }

  /// Decode that answers with these chunks, each a first index and its tokens.
  private static func decode(_ chunks: [(UInt32, [TokenID])]) -> ScriptedFleet.Script {
    { message, reply in
      guard case .decodeRequest = message else { return reply.send(.acknowledged, last: true) }
      for (place, chunk) in chunks.enumerated() {
        let isLast = place == chunks.count - 1
        reply.send(
          .tokenChunk(
            TokenChunk(
              firstIndex: chunk.0, tokens: chunk.1, finish: isLast ? .length : nil,
              migration: nil)),
          last: isLast)
      }
    }
  }

  private func tokens(
    of events: AsyncThrowingStream<GenerationEvent, any Error>
  ) async throws -> [TokenID] {
    var tokens: [TokenID] = []
    for try await case .tokens(let some) in events { tokens += some }
    return tokens
  }

  @Test("Tokens of both engines come in order, whatever the order of their coming")
  func order() async throws {
    let decode = Self.decode([(2, [99]), (1, [98]), (1, [98, 99]), (3, [100])])
    try await ScriptedFleet.run(prefill: Self.prefill, decode: decode) { fleet in
      let answer = try await tokens(of: fleet.generate(maximumTokens: 4))
      #expect(answer == [97, 98, 99, 100])
    }
  }

  @Test(
    "Prefill hears that nobody wants a ticket that decode has not claimed",
    arguments: [true, false])
  func unclaimedTicket(decodeFails: Bool) async throws {
    let (withdrawals, continuation) = AsyncStream<Void>.makeStream()
    let open: ScriptedFleet.Script = { message, reply in
      guard case .prefillRequest = message else { return reply.send(.acknowledged, last: true) }
      reply.send(.prefillAccepted(Self.ticket), last: false)
      let done = PrefillDone(
        firstToken: 97, finish: nil, queuedMicroseconds: 1, computedMicroseconds: 1)
      reply.send(.prefillDone(done), last: false)
      // Only cancellation ends the waiting.
      let (never, _) = AsyncStream<Void>.makeStream()
      await withTaskCancellationHandler {
        for await _ in never {}
      } onCancel: {
        continuation.yield()
      }
    }
    let decode: ScriptedFleet.Script = { message, reply in
      guard case .decodeRequest = message else { return reply.send(.acknowledged, last: true) }
      if decodeFails { return reply.fail(BatonError(.incompatible, "another geometry")) }
      let (never, _) = AsyncStream<Void>.makeStream()
      for await _ in never {}
    }
    try await ScriptedFleet.run(prefill: open, decode: decode) { fleet in
      let events = fleet.generate(maximumTokens: 4)
      let reading = Task { try await tokens(of: events) }
      if !decodeFails {
        for await case .prefillRequest in fleet.askedOfPrefill { break }
        reading.cancel()
      }
      for await _ in withdrawals { break }
      let result = await reading.result
      if decodeFails { #expect(throws: BatonError.self) { try result.get() } }
    }
  }

  @Test("An answer that its engines leave a token out of ends, with an error")
  func gap() async throws {
    let decode = Self.decode([(2, [99])])
    try await ScriptedFleet.run(prefill: Self.prefill, decode: decode) { fleet in
      let error = await #expect(throws: BatonError.self) {
        _ = try await tokens(of: fleet.generate(maximumTokens: 3))
      }
      #expect(error?.code == .protocolViolation)
    }
  }

  @Test("An engine that gives up costs nothing: another attempt goes on with the next token")
  func retry() async throws {
    let decode = Self.decode([(1, [98]), (2, [99])])
    let (firstToken, continuation) = AsyncStream<Void>.makeStream()
    let failing: ScriptedFleet.Script = { message, reply in
      guard case .decodeRequest(let request) = message, request.attempt == 0 else {
        return await decode(message, reply)
      }
      for await _ in firstToken { break }
      reply.fail(BatonError(.staleBlock, "reused"))
    }
    try await ScriptedFleet.run(prefill: Self.prefill, decode: failing) { fleet in
      var answer: [TokenID] = []
      for try await case .tokens(let some) in fleet.generate(maximumTokens: 4) {
        answer += some
        continuation.yield()
      }
      #expect(answer == [97, 97, 98, 99])
      var prompts: [[TokenID]] = []
      for await case .prefillRequest(let request) in fleet.askedOfPrefill {
        prompts.append(request.tokens)
        if prompts.count == 2 { break }
      }
      #expect(prompts == [[1], [1, 97]])
    }
  }

  @Test("A prefill engine that is lost when it has read the prompt does not end the attempt")
  func prefillLost() async throws {
    let (decoding, decode) = AsyncStream<Void>.makeStream()
    let (losses, loss) = AsyncStream<Void>.makeStream()
    let lost: ScriptedFleet.Script = { message, reply in
      guard case .prefillRequest = message else { return reply.send(.acknowledged, last: true) }
      reply.send(.prefillAccepted(Self.ticket), last: false)
      let done = PrefillDone(
        firstToken: 97, finish: nil, queuedMicroseconds: 1, computedMicroseconds: 1)
      reply.send(.prefillDone(done), last: false)
      for await _ in losses { break }
      reply.fail(BatonError(.peerGone, "lost"))
    }
    let slow: ScriptedFleet.Script = { message, reply in
      guard case .decodeRequest = message else { return reply.send(.acknowledged, last: true) }
      for await _ in decoding { break }
      await Self.decode([(1, [98]), (2, [99])])(message, reply)
    }
    try await ScriptedFleet.run(prefill: lost, decode: slow) { fleet in
      var answer: [TokenID] = []
      for try await case .tokens(let some) in fleet.generate(maximumTokens: 3) {
        answer += some
        guard answer == [97] else { continue }
        loss.yield()
        // What comes after the loss on the same connection has come when decode goes on.
        for _ in 0..<10 { _ = await fleet.backend.metricFamilies() }
        decode.yield()
      }
      #expect(answer == [97, 98, 99])
    }
  }

  @Test("Tokens of one model are not given to another")
  func otherModel() async throws {
    try await ScriptedFleet.run(prefill: Self.prefill, decode: Self.decode([(1, [98])])) { fleet in
      let error = await #expect(throws: BatonError.self) {
        _ = try await tokens(of: fleet.generate(maximumTokens: 2, model: "fp_other"))
      }
      #expect(error?.code == .incompatible)
    }
  }
}
