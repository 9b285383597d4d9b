import ControlProtocol
import ControlTransport
import Inference
import KVCore
import KVPool
import Logging
import Migration
import NIOPosix
import Synchronization

/// A prefill engine in the hands of a test: its pool, its link and the KV in it are real, and what
/// it answers to a claim is the test's.
final class ScriptedPrefill: ControlHandler {
  let engine: CPUEngine
  let pool: KVPool
  let ticket: Ticket
  /// Final stamps of the prompt's blocks.
  let stamps: [UInt64]
  /// Of the same blocks.
  let checksums: [UInt64]
  /// The greedy answer as one engine alone writes it.
  let answer: [TokenID]
  private let migration: MigrationBackend
  private let identity: LocalIdentity
  /// The decode engine's connection, once it has opened a link.
  let connection = Mutex<ControlConnection?>(nil)
  /// Ends when the ticket is released.
  let released: AsyncStream<Void>
  private let releasing: AsyncStream<Void>.Continuation
  private let progress: @Sendable (ScriptedPrefill) -> [PrefillProgress]

  static let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

  /// Reads `prompt` and works out `length` tokens of its answer.
  init(
    _ name: String = "prefill-0", prompt: [TokenID], length: Int,
    progress: @escaping @Sendable (ScriptedPrefill) -> [PrefillProgress]
  ) throws {
    let directory = try EmbeddedModel.directory()
    engine = try CPUEngine(directory: directory, kvDataType: .bfloat16, threads: 1)
    let incarnation = Incarnation.random()
    let name = try EngineID(name)
    pool = try KVPool(geometry: engine.geometry, blockCount: 512)
    migration = try MigrationBackend(engine: name, incarnation: incarnation)
    let address = "unix:@baton-test-\(UInt64.random(in: 0 ... .max))"
    let lent = try pool.allocate(blocks: engine.geometry.blockCount(tokens: prompt.count))
    // The prompt is read twice, so that the blocks that are lent hold nothing of the answer.
    let whole = try pool.allocate(
      blocks: engine.geometry.blockCount(tokens: prompt.count + length))
    let tables = [lent, whole].map { [pool] ranges in
      ranges.flatMap(\.blocks).map { KVBlockAddress(pool.address(of: $0)) }
    }
    _ = try engine.forward([
      SequenceSlice(tokens: prompt, firstPosition: 0, blocks: tables[0], wantsLogits: false)
    ])
    answer = try Self.greedy(engine, prompt: prompt, length: length, table: tables[1])
    stamps = lent.flatMap(\.blocks).map { [pool] in pool.endWrite($0) }
    checksums = lent.flatMap(\.blocks).map { [pool] in pool.checksum(of: $0) }
    ticket = Ticket(
      id: .random(), engine: name, incarnation: incarnation, addresses: [address],
      tokenCount: UInt32(prompt.count), blocks: lent, leaseMilliseconds: 30_000)
    identity = LocalIdentity(
      engine: name, incarnation: incarnation, role: .prefill,
      info: PeerInfo(
        model: ModelSummary(
          name: engine.model.name, fingerprint: engine.model.fingerprint,
          geometry: engine.geometry, contextTokens: UInt32(engine.model.contextTokens),
          vocabularySize: UInt32(engine.model.vocabularySize), endTokens: engine.model.endTokens,
          poolBlocks: UInt32(pool.blockCount)),
        bootID: "", processID: 1, addresses: [address], ranks: 1),
      options: ControlOptions(peerTimeout: .seconds(60)))
    self.progress = progress
    (released, releasing) = AsyncStream.makeStream()
  }

  /// Asks for the blocks of these tickets.
  func recall(_ tickets: [TicketID]) async throws -> Message {
    guard let connection = connection.withLock({ $0 }) else {
      throw BatonError(.unavailable, "decode has opened no link")
    }
    return try await connection.request(
      .leaseRecall(LeaseTickets(tickets: tickets)), within: .seconds(30))
  }

  /// Everything at once, and the right first token.
  var wholeProgress: PrefillProgress {
    PrefillProgress(
      firstBlock: 0, stamps: stamps, checksums: checksums, completion: completion(answer[0]))
  }

  func completion(_ firstToken: TokenID) -> PrefillDone {
    PrefillDone(
      firstToken: firstToken, finish: nil, queuedMicroseconds: 0, computedMicroseconds: 0)
  }

  /// Writes another prompt into a block.
  func reuse(_ block: BlockIndex) throws {
    pool.beginWrite(block)
    let prompt = [TokenID](repeating: 5, count: engine.geometry.blockTokens)
    _ = try engine.forward([
      SequenceSlice(
        tokens: prompt, firstPosition: 0, blocks: [KVBlockAddress(pool.address(of: block))],
        wantsLogits: false)
    ])
    _ = pool.endWrite(block)
  }

  func serve() async throws -> ControlServer {
    try await ControlServer.start(
      addresses: ticket.addresses.map { try ControlAddress($0) }, identity: identity,
      handler: self, group: MultiThreadedEventLoopGroup.singleton, logger: Self.logger)
  }

  func handle(
    _ message: Message, from connection: ControlConnection, reply: ReplyWriter
  ) async {
    do {
      switch message {
      case .linkOpen(let open):
        try migration.initialize(
          link: open.link, remote: connection.remote.engine,
          remoteIncarnation: connection.remote.incarnation)
        for region in MemoryRegion.shared(pool) {
          try migration.registerMemoryRegion(region, link: open.link)
        }
        self.connection.withLock { $0 = connection }
        let endpoint = try migration.endpointInfo(link: open.link)
        reply.send(.linkOpened(LinkOpened(endpoints: [endpoint])), last: true)
      case .ticketClaim:
        let all = progress(self)
        for (index, each) in all.enumerated() {
          reply.send(.prefillProgress(each), last: index == all.count - 1)
        }
      case .leaseRelease(let tickets):
        reply.send(.acknowledged, last: true)
        if tickets.tickets.contains(ticket.id) { releasing.finish() }
      default:
        reply.send(.acknowledged, last: true)
      }
    } catch {
      reply.fail(BatonError(wrapping: error))
    }
  }

  private static func greedy(
    _ engine: CPUEngine, prompt: [TokenID], length: Int, table: [KVBlockAddress]
  ) throws -> [TokenID] {
    var answer: [TokenID] = []
    var pending = prompt
    var position = 0
    while answer.count < length {
      let logits = try engine.forward([
        SequenceSlice(
          tokens: pending, firstPosition: position, blocks: table, wantsLogits: true)
      ])
      position += pending.count
      let token = Sampler.sample(logits: logits[...], temperature: 0, seed: 0, position: position)
      answer.append(token)
      pending = [token]
    }
    return answer
  }
}
