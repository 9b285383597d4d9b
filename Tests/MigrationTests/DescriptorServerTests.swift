import ControlProtocol
import KVCore
import KVPool
import Migration
import Platform
import TestSupport
import Testing

@Suite("Descriptor hand-off", .timeLimit(.minutes(1)))
struct DescriptorServerTests {
  /// A prefill side that offers a small pool to `decode`.
  private struct Offer {
    let prefill: Side
    let decode: Side
    let pool: KVPool
    let link = LinkID.random()
    var endpoint: SharedMemoryEndpoint

    init() throws {
      prefill = try Side("prefill-0")
      decode = try Side("decode-0")
      pool = try KVPool(
        geometry: smallGeometry, blockCount: 2)
      try prefill.initialize(link, to: decode)
      for region in MemoryRegion.shared(pool) {
        try prefill.backend.registerMemoryRegion(region, link: link)
      }
      endpoint = try prefill.sharedMemoryEndpoint(link)
    }

    /// The error of fetching `endpoint` from `side`; nil if it was handed over.
    func fetchError(from side: Side, expecting peer: Side) async -> BatonError? {
      do {
        try side.initialize(link, to: peer)
        defer { side.backend.disconnect(link: link) }
        try await side.backend.connect(link: link, remote: EndpointInfo(sharedMemory: endpoint))
        return nil
      } catch {
        return BatonError(wrapping: error)
      }
    }
  }

  @Test("A token opens the socket once")
  func tokenIsGoodOnce() async throws {
    let offer = try Offer()
    #expect(await offer.fetchError(from: offer.decode, expecting: offer.prefill) == nil)
    let again = await offer.fetchError(from: offer.decode, expecting: offer.prefill)
    #expect(again?.code == .unauthenticated)
    #expect(
      again?.message == "descriptor of prefill-0: the token is unknown or has been used")
  }

  @Test("A token that was never given out opens nothing, and leaves the real one good")
  func wrongToken() async throws {
    var offer = try Offer()
    let good = offer.endpoint.token
    for wrong in [[UInt8](repeating: 0, count: 16), good.reversed()] {
      offer.endpoint.token = wrong
      let error = await offer.fetchError(from: offer.decode, expecting: offer.prefill)
      #expect(error?.code == .unauthenticated)
    }
    offer.endpoint.token = good
    #expect(await offer.fetchError(from: offer.decode, expecting: offer.prefill) == nil)
  }

  @Test("A token of the wrong length is refused, and the server goes on", arguments: [0, 15, 17])
  func badTokenLength(length: Int) async throws {
    var offer = try Offer()
    let good = offer.endpoint.token
    offer.endpoint.token = [UInt8](repeating: 1, count: length)
    #expect(await offer.fetchError(from: offer.decode, expecting: offer.prefill) != nil)
    offer.endpoint.token = good
    #expect(await offer.fetchError(from: offer.decode, expecting: offer.prefill) == nil)
  }

  @Test("A token is good for the engine that it was made for, in the start that it was made for")
  func wrongEngine() async throws {
    for name in ["decode-1", "decode-0"] {
      let offer = try Offer()
      let other = try Side(name)
      let error = await offer.fetchError(from: other, expecting: offer.prefill)
      #expect(error?.code == .unauthenticated)
      #expect(error?.message.contains("another engine") == true)
    }
  }

  @Test("An answer from another engine, or another start of it, is refused")
  func wrongServer() async throws {
    for name in ["prefill-1", "prefill-0"] {
      let offer = try Offer()
      let expected = try Side(name)
      let error = await offer.fetchError(from: offer.decode, expecting: expected)
      #expect(error?.code == .unauthenticated)
      #expect(error?.message.contains("\(expected.incarnation) is expected") == true)
    }
  }

  @Test("A new endpoint voids the last one, and a link that ends takes its endpoint back")
  func withdrawal() async throws {
    var offer = try Offer()
    let old = offer.endpoint
    offer.endpoint = try offer.prefill.sharedMemoryEndpoint(offer.link)
    let new = offer.endpoint
    #expect(old.token != new.token)
    offer.endpoint = old
    #expect(await offer.fetchError(from: offer.decode, expecting: offer.prefill) != nil)
    offer.endpoint = new
    offer.prefill.backend.disconnect(link: offer.link)
    let error = await offer.fetchError(from: offer.decode, expecting: offer.prefill)
    #expect(error?.code == .unauthenticated)
  }

  @Test("More silent clients than there is room for do not keep a real one out")
  func silentClients() async throws {
    let offer = try Offer()
    let silent = try (0..<100).map { _ in try SilentClient(offer.endpoint.socketName) }
    #expect(await offer.fetchError(from: offer.decode, expecting: offer.prefill) == nil)
    // They stay connected till here.
    withExtendedLifetime(silent) {}
  }

  @Test("Whatever a client sends, the server goes on", arguments: 0..<4 as Range<UInt64>)
  func garbage(seed: UInt64) async throws {
    let offer = try Offer()
    var generator = SplitMix64(seed: seed)
    for round in 0..<50 {
      let client = try SilentClient(offer.endpoint.socketName)
      let length = [1, 15, 16, 31, 32, 40, 96, 97, 4_096][round % 9]
      var message = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
      // The right first bytes lead further into the parser.
      let header: ArraySlice<UInt8> = [0x42, 0x54, 0x4E, 0x44, 1, 0].prefix(Int(seed) * 2)
      for (index, byte) in header.enumerated() where index < length { message[index] = byte }
      try client.send(message)
    }
    #expect(await offer.fetchError(from: offer.decode, expecting: offer.prefill) == nil)
  }

  @Test(
    "A liveness word that is not sent, not held or could be shrunk is refused, and costs the token",
    arguments: [nil, [], .readOnlyForPeers] as [SharedMemoryFile.Seals?])
  func badLivenessWord(seals: SharedMemoryFile.Seals?) async throws {
    let offer = try Offer()
    let file = try seals.map { seals in
      let file = try SharedMemoryFile.create(name: "test", length: SystemMemory.pageBytes)
      try file.add(seals)
      return file
    }
    let client = try SilentClient(offer.endpoint.socketName)
    let decode = offer.decode
    let answer = try client.ask(
      descriptorMessage(
        status: 0, decode.engine, decode.incarnation, word: 7, token: offer.endpoint.token),
      passing: file)
    #expect(answer == descriptorMessage(status: 3, offer.prefill.engine, offer.prefill.incarnation))
    let error = await offer.fetchError(from: decode, expecting: offer.prefill)
    #expect(error?.code == .unauthenticated)
    #expect(!offer.prefill.backend.watchesPeer(of: offer.link))
  }

  @Test("When the backend is gone nobody listens any more")
  func closes() async throws {
    var offer: Offer? = try Offer()
    let name = try #require(offer).endpoint.socketName
    #expect(name.hasPrefix("@baton-"))
    offer = nil
    let error = #expect(throws: BatonError.self) { _ = try SilentClient(name) }
    #expect(error?.code == .peerGone)
  }

  /// Somebody who connects and says nothing of its own accord.
  private final class SilentClient {
    private let socket: UnixSocket

    init(_ name: String) throws(BatonError) {
      socket = try UnixSocket.connect(to: name, timeoutMilliseconds: 10_000)
    }

    func send(_ message: [UInt8]) throws(BatonError) { try socket.send(message) }

    /// Returns the answer, whose descriptor is not kept.
    func ask(
      _ message: [UInt8], passing file: SharedMemoryFile?
    ) throws(BatonError) -> [UInt8] {
      try socket.send(message, passing: file)
      var buffer = [UInt8](repeating: 0, count: 256)
      let count = try socket.receive(into: &buffer).count
      return Array(buffer[..<count])
    }
  }
}
