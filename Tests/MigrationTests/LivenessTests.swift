import ControlProtocol
import Glibc
import KVCore
import KVPool
import Migration
import Platform
import Synchronization
import Testing

@Suite("A peer's death, told by its liveness word", .timeLimit(.minutes(1)))
struct LivenessTests {
  /// Says when it was called, and how often.
  private final class Call: Sendable {
    let count = Mutex(0)
    let calls: AsyncStream<Void>
    private let input: AsyncStream<Void>.Continuation

    init() { (calls, input) = AsyncStream.makeStream() }

    func note() {
      count.withLock { $0 += 1 }
      input.yield()
    }

    func wait() async { for await _ in calls { return } }
  }

  /// Two engines with a link between them; each can be let go of.
  private final class Pair {
    var prefill: Side?
    var decode: Side?
    let prefillDied = Call()
    let decodeDied = Call()
    let link = LinkID.random()

    init(decode given: Side? = nil) async throws {
      let (prefill, decode) = (try Side("prefill-0"), try given ?? Side("decode-0"))
      let pool = try KVPool(geometry: smallGeometry, blockCount: 2)
      try prefill.backend.initialize(
        link: link, remote: decode.engine, remoteIncarnation: decode.incarnation,
        onPeerDeath: decodeDied.note)
      try decode.backend.initialize(
        link: link, remote: prefill.engine, remoteIncarnation: prefill.incarnation,
        onPeerDeath: prefillDied.note)
      for region in MemoryRegion.shared(pool) {
        try prefill.backend.registerMemoryRegion(region, link: link)
      }
      try await decode.backend.connect(
        link: link, remote: try prefill.backend.endpointInfo(link: link))
      (self.prefill, self.decode) = (prefill, decode)
    }
  }

  @Test("Both sides of a link are told once, and nobody is told of a living peer")
  func bothSides() async throws {
    let first = try await Pair()
    let second = try await Pair()
    #expect(first.decode?.backend.watchesPeer(of: first.link) == true)
    #expect(second.prefill?.backend.watchesPeer(of: second.link) == true)
    first.prefill = nil
    await first.prefillDied.wait()
    second.decode = nil
    await second.decodeDied.wait()
    #expect(first.decodeDied.count.withLock { $0 } == 0)
    #expect(second.prefillDied.count.withLock { $0 } == 0)
    #expect(first.prefillDied.count.withLock { $0 } == 1)
  }

  @Test("A link that has ended is not told of, and its word serves another")
  func ended() async throws {
    let pair = try await Pair()
    let decode = try #require(pair.decode)
    decode.backend.disconnect(link: pair.link)
    #expect(!decode.backend.watchesPeer(of: pair.link))
    for _ in 0..<600 {
      let link = LinkID.random()
      let prefill = try #require(pair.prefill)
      try decode.initialize(link, to: prefill)
      decode.backend.disconnect(link: link)
    }
    let other = try await Pair()
    pair.prefill = nil
    other.prefill = nil
    await other.prefillDied.wait()
    #expect(pair.prefillDied.count.withLock { $0 } == 0)
  }

  @Test("A link that is released and connected again is watched again")
  func released() async throws {
    let pair = try await Pair()
    let (prefill, decode) = (try #require(pair.prefill), try #require(pair.decode))
    decode.backend.release(link: pair.link)
    #expect(!decode.backend.watchesPeer(of: pair.link))
    try await decode.backend.connect(
      link: pair.link, remote: try prefill.backend.endpointInfo(link: pair.link))
    #expect(decode.backend.watchesPeer(of: pair.link))
  }

  @Test("A peer that wakes for nothing loses its own signal, and its death is not told by it")
  func idleWakes() async throws {
    let decode = try Side("decode-0")
    let player = try Player()
    let link = LinkID.random()
    let death = Call()
    try decode.backend.initialize(
      link: link, remote: player.engine, remoteIncarnation: player.incarnation,
      onPeerDeath: death.note)
    let thread = try PlatformThread.start(name: "player") { player.serve() }
    try await decode.backend.connect(
      link: link, remote: EndpointInfo(sharedMemory: player.endpoint))
    #expect(decode.backend.watchesPeer(of: link))
    while decode.backend.watchesPeer(of: link) { player.wake() }
    player.mayEnd.advance()
    thread.join()
    // Another link's death comes through the same thread, and so after anything of this one.
    let other = try await Pair(decode: decode)
    other.prefill = nil
    await other.prefillDied.wait()
    #expect(death.count.withLock { $0 } == 0)
    #expect(!decode.backend.peerHasEnded(link: link))
  }

  /// A prefill engine that serves one link and then plays with its liveness word.
  private final class Player: Sendable {
    let engine: EngineID
    let incarnation = Incarnation.random()
    let mayEnd = WakeWord()
    private let listener: UnixListener
    private let words: LivenessWords
    private let mapping: SharedMapping

    init() throws {
      engine = try EngineID("prefill-0")
      listener = try UnixListener(
        name: "@baton-test-" + Hexadecimal.string(UInt64.random(in: 0...UInt64.max)), backlog: 1)
      words = try LivenessWords()
      mapping = try SharedMapping(of: words.file, access: .readOnly)
    }

    var endpoint: SharedMemoryEndpoint {
      SharedMemoryEndpoint(
        socketName: listener.name, token: [UInt8](1...16),
        regions: [RegionInfo(key: RegionKey(0), length: SystemMemory.pageBytes)])
    }

    /// Holds the words, answers one request, and lets go when it may.
    func serve() {
      do throws(BatonError) {
        try words.hold()
        let memory = try SharedMemoryFile.create(name: "test", length: SystemMemory.pageBytes)
        try SharedMapping(of: memory, access: .readWrite).populate()
        try memory.add(.readOnlyForPeers)
        let socket = try listener.accept()
        var buffer = [UInt8](repeating: 0, count: 256)
        _ = try socket.receive(into: &buffer).count
        let answer = descriptorMessage(status: 0, engine, incarnation, word: 0)
        try socket.send(answer, passing: memory)
        try socket.send(answer, passing: words.file)
      } catch {
        Issue.record(error)
      }
      while mayEnd.value == 0 { _ = mayEnd.wait(while: 0) }
      words.letGo()
    }

    /// futex(2) FUTEX_WAKE of the first word: syscall(2) is variadic, which Swift does not call.
    func wake() {
      typealias Call = @convention(c) (Int, UInt, Int, Int, Int, Int, Int) -> Int
      #if arch(x86_64)
        let number = 202
      #else
        let number = 98
      #endif
      guard let symbol = unsafe dlsym(nil, "syscall") else { return }
      let call = unsafe unsafeBitCast(symbol, to: Call.self)
      _ = call(number, mapping.address, 1, 1, 0, 0, 0)
    }
  }
}
