import ControlProtocol
import ControlTransport
import KVCore
import NIOPosix
import ProxyService
import Testing

@Suite("Text on control connections", .timeLimit(.minutes(1)))
struct TextHandlerTests {
  /// Asks a proxy with this backend; the pieces of the answer's text, and its ending.
  private func ask(
    _ backend: ScriptedBackend, maximumConcurrent: Int = 8,
    _ change: (inout TextRequest) -> Void = { _ in }
  ) async throws -> ([String], TextChunk.Ending?) {
    let group = MultiThreadedEventLoopGroup.singleton
    let server = try await ControlServer.start(
      addresses: [.unix(path: "@baton-test-\(UInt64.random(in: 0 ... .max))")],
      identity: try identity("proxy", .proxy),
      handler: EdgeFixture.server(backend, maximumConcurrent: maximumConcurrent).controlHandler,
      group: group, logger: EdgeFixture.logger)
    let result: Result<([String], TextChunk.Ending?), any Error>
    do {
      let connection = try await ControlClient.connect(
        to: server.boundAddresses[0], identity: try identity("client", .client), group: group,
        logger: EdgeFixture.logger)
      var request = TextRequest(
        model: "", prompt: "ab", maximumTokens: 8, temperature: 0, seed: 3, stops: [],
        ignoresEndTokens: false)
      change(&request)
      var pieces: [String] = []
      var ending: TextChunk.Ending?
      for try await message in try connection.stream(.textRequest(request), within: .seconds(30)) {
        guard case .textChunk(let chunk) = message else { continue }
        if !chunk.text.isEmpty { pieces.append(chunk.text) }
        ending = chunk.ending
      }
      result = .success((pieces, ending))
    } catch {
      result = .failure(error)
    }
    await server.shutdown()
    return try result.get()
  }

  private func identity(_ name: String, _ role: Role) throws -> LocalIdentity {
    LocalIdentity(
      engine: try EngineID(name), incarnation: .random(), role: role,
      info: PeerInfo(model: nil, bootID: "", processID: 1, addresses: [], ranks: 1),
      options: ControlOptions())
  }

  /// Writes the text of `pieces`, then ends for its length.
  private func writer(_ pieces: [String]) throws -> ScriptedBackend {
    ScriptedBackend(models: [try ByteTokenizer.model()]) { _, continuation in
      for piece in pieces { continuation.yield(.tokens(ByteTokenizer.tokens(piece))) }
      continuation.yield(.finished(.length, .handedOver))
      continuation.finish()
    }
  }

  @Test("text comes piece by piece, with the counts at the end")
  func streams() async throws {
    let (pieces, ending) = try await ask(try writer(["one ", "two"]))
    #expect(pieces.joined() == "one two")
    #expect(ending == .init(reason: .length, promptTokens: 2, completionTokens: 7))
  }

  @Test("the answer ends before a stop text, and what still runs is cancelled")
  func stops() async throws {
    let backend = ScriptedBackend(models: [try ByteTokenizer.model()]) { _, continuation in
      continuation.yield(.tokens(ByteTokenizer.tokens("abc.def")))
    }
    let (pieces, ending) = try await ask(backend) { $0.stops = ["."] }
    #expect(pieces.joined() == "abc")
    #expect(ending?.reason == .stop)
    for await _ in backend.cancellations { break }
  }

  @Test("what is asked for reaches the engines")
  func sampling() async throws {
    let backend = try writer(["x"])
    _ = try await ask(backend) {
      $0.temperature = 0.5
      $0.ignoresEndTokens = true
    }
    var requests = backend.requests.makeAsyncIterator()
    let sampling = await requests.next()?.sampling
    #expect(
      sampling
        == SamplingParameters(
          temperature: 0.5, seed: 3, maximumTokens: 8, ignoresEndTokens: true))
  }

  @Test("what is wrong is told with a code of the protocol")
  func refusals() async throws {
    let cases: [(ErrorCode, Int, (inout TextRequest) -> Void)] = [
      (.invalidArgument, 8, { $0.prompt = "" }), (.invalidArgument, 8, { $0.model = "other" }),
      (.invalidArgument, 8, { $0.maximumTokens = 1_000 }), (.resourceExhausted, 0, { _ in }),
    ]
    for (code, limit, change) in cases {
      do {
        _ = try await ask(try writer(["x"]), maximumConcurrent: limit, change)
        Issue.record("\(code) was expected")
      } catch {
        #expect(BatonError(wrapping: error).code == code)
      }
    }
    let failing = ScriptedBackend(models: [try ByteTokenizer.model()]) { _, continuation in
      continuation.finish(throwing: BatonError(.staleBlock, "s"))
    }
    do {
      _ = try await ask(failing)
      Issue.record("an error was expected")
    } catch {
      #expect(BatonError(wrapping: error).code == .staleBlock)
    }
  }
}
