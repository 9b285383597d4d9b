import ControlProtocol
import KVCore
import KVPool
import Migration
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

    init() async throws {
      let (prefill, decode) = (try Side("prefill-0"), try Side("decode-0"))
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
}
