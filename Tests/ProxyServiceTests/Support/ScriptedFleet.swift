import ControlProtocol
import ControlTransport
import Crypto
import KVCore
import NIOPosix
import ProxyService

/// A prefill and a decode engine that say what a test makes them say, on real connections, and a
/// fleet that has found both.
struct ScriptedFleet {
  /// Answers one request; its task is cancelled with the request.
  typealias Script = @Sendable (Message, ReplyWriter) async -> Void

  let backend: FleetBackend
  /// Every request that prefill was asked, but those for the model's files.
  let askedOfPrefill: AsyncStream<Message>

  static func run(
    prefill: @escaping Script, decode: @escaping Script,
    _ body: (ScriptedFleet) async throws -> Void
  ) async throws {
    let (asked, continuation) = AsyncStream<Message>.makeStream()
    let servers = [
      try await server("prefill-0", .prefill) { message, reply in
        continuation.yield(message)
        await prefill(message, reply)
      },
      try await server("decode-0", .decode, script: decode),
    ]
    let fleet = Fleet(
      engines: zip(servers, [.prefill, .decode]).map { ($0.boundAddresses[0], $1) },
      identity: try identity("proxy", .proxy), servedModelName: nil,
      requestTimeout: .seconds(30), logger: EdgeFixture.logger)
    let backend = FleetBackend(fleet: fleet, logger: EdgeFixture.logger)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await fleet.run() }
      while backend.readiness != .ready {
        try Task.checkCancellation()
        await Task.yield()
      }
      try await body(ScriptedFleet(backend: backend, askedOfPrefill: asked))
      group.cancelAll()
    }
    for server in servers { await server.shutdown() }
  }

  /// A request of one prompt token for `maximumTokens` more.
  func generate(
    maximumTokens: UInt32, model: String? = nil
  ) -> AsyncThrowingStream<GenerationEvent, any Error> {
    backend.generate(
      GenerationRequest(
        id: .random(), modelFingerprint: model ?? backend.models()[0].fingerprint,
        promptTokens: [1],
        sampling: SamplingParameters(
          temperature: 0, seed: 0, maximumTokens: maximumTokens, ignoresEndTokens: true)))
  }

  private struct Handler: ControlHandler {
    let script: Script

    func handle(
      _ message: Message, from connection: ControlConnection, reply: ReplyWriter
    ) async {
      guard case .modelAssetsRequest = message else { return await script(message, reply) }
      let json = Array(ByteTokenizer.json.utf8)
      let chunk = ModelAssetChunk(
        name: "tokenizer.json", sha256: Array(SHA256.hash(data: json)),
        totalBytes: UInt64(json.count), offset: 0, data: json)
      reply.send(.modelAssetChunk(chunk), last: true)
    }
  }

  private static func server(
    _ name: String, _ role: Role, script: @escaping Script
  ) async throws -> ControlServer {
    try await ControlServer.start(
      addresses: [.unix(path: "@baton-test-\(UInt64.random(in: 0 ... .max))")],
      identity: try identity(name, role), handler: Handler(script: script),
      group: MultiThreadedEventLoopGroup.singleton, logger: EdgeFixture.logger)
  }

  private static func identity(_ name: String, _ role: Role) throws -> LocalIdentity {
    let group = CacheGroup(layers: 1, keyValueHeads: 1, headDimension: 16, dataType: .float32)
    let model = ModelSummary(
      name: "bytes", fingerprint: [UInt8](repeating: 7, count: 32),
      geometry: KVGeometry(blockTokens: 16, groups: [group]), contextTokens: 64,
      vocabularySize: 256, endTokens: [], poolBlocks: 8)
    return LocalIdentity(
      engine: try EngineID(name), incarnation: .random(), role: role,
      info: PeerInfo(
        model: role == .proxy ? nil : model, bootID: "", processID: 1, addresses: [], ranks: 1),
      options: ControlOptions())
  }
}
