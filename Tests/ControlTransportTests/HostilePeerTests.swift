import ControlProtocol
import ControlTransport
import ControlWire
import KVCore
import NIOCore
import Testing

@Suite("Hostile and broken peers", .timeLimit(.minutes(1)))
struct HostilePeerTests {
  /// The error that ends a connection, and that the server and another client did not notice.
  private func fate(
    of server: ControlServer, _ provoke: (RawPeer) async throws -> Void
  ) async throws -> BatonError? {
    let bystander = try await TestPeer.client(of: server)
    let peer = try await RawPeer.connect(to: server)
    try await provoke(peer)
    let last = try await peer.messages().last
    #expect(try await bystander.request(TestHandler.prefill([1])) == TestHandler.chunk(0, [1]))
    bystander.close()
    guard case (0, .error(let error))? = last else { return nil }
    return error
  }

  @Test("garbage is answered with an error that says where and why, then the connection ends")
  func garbage() async throws {
    let server = try await TestPeer.server(TestHandler())
    let error = try await fate(of: server) { peer in
      try await peer.send(Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
    }
    #expect(error?.code == .malformedFrame)
    #expect(error?.message.contains("byte 0 ") == true)
    #expect(error?.message.contains("magic") == true)
    await server.shutdown()
  }

  @Test("a changed frame on an open connection ends that connection and cancels its handlers")
  func corruption() async throws {
    let handler = TestHandler()
    let server = try await TestPeer.server(handler)
    let error = try await fate(of: server) { peer in
      try await peer.greet(try TestPeer.identity("raw"))
      try await peer.send(.modelAssetsRequest, stream: 1)
      await handler.wait(for: .started)
      var frame = try FrameEncoder.encode(.metricsRequest, stream: 3, flags: .last).frames
      frame[8] ^= 4
      try await peer.send(frame)
      await handler.wait(for: .cancelled)
    }
    #expect(error?.code == .malformedFrame)
    #expect(error?.message.contains("checksum") == true)
    await server.shutdown()
  }

  @Test("another protocol version is refused with both sides' versions")
  func wrongVersion() async throws {
    let server = try await TestPeer.server(TestHandler())
    let error = try await fate(of: server) { peer in
      try await peer.greet(try TestPeer.identity("raw"), versions: [9, 8])
    }
    #expect(error?.code == .incompatible)
    #expect(error?.message.contains("[9, 8]") == true)
    #expect(error?.message.contains("[1]") == true)
    await server.shutdown()
  }

  @Test("a request before the handshake is over ends the connection")
  func noHello() async throws {
    let server = try await TestPeer.server(TestHandler())
    let error = try await fate(of: server) { try await $0.send(.metricsRequest, stream: 1) }
    #expect(error?.code == .protocolViolation)
    await server.shutdown()
  }

  @Test("a handshake in parts, or with flags of another kind of message, ends the connection")
  func wrongFlags() async throws {
    let server = try await TestPeer.server(TestHandler())
    let cases: [(FrameFlags, ErrorCode)] = [
      ([], .protocolViolation), ([.last, .response], .protocolViolation),
      ([.continues], .malformedFrame),
    ]
    for (flags, code) in cases {
      let error = try await fate(of: server) { peer in
        try await peer.greet(try TestPeer.identity("raw"), flags: flags)
      }
      #expect(error?.code == code, "\(flags)")
    }
    await server.shutdown()
  }

  @Test("a client that never says hello is dropped")
  func silent() async throws {
    let server = try await TestPeer.server(TestHandler(), handshakeTimeout: .milliseconds(20))
    let peer = try await RawPeer.connect(to: server)
    guard case .error(let error)? = try await peer.messages().last?.message else {
      Issue.record("the connection ended without an error")
      return
    }
    #expect(error.code == .deadlineExceeded)
    await server.shutdown()
  }

  @Test("more than a handshake may carry is refused before it is read")
  func largeHello() async throws {
    let server = try await TestPeer.server(TestHandler())
    let stamps = [UInt64](repeating: 1, count: 4_096)
    let error = try await fate(of: server) { peer in
      try await peer.send(
        .prefillProgress(
          PrefillProgress(firstBlock: 0, stamps: stamps, checksums: stamps, completion: nil)),
        stream: 0)
    }
    #expect(error?.code == .malformedFrame)
    #expect(error?.message.contains("16384") == true)
    await server.shutdown()
  }

  @Test("ids that do not rise, and answers to nothing, end the connection")
  func brokenStreams() async throws {
    let server = try await TestPeer.server(TestHandler())
    let cases: [[(UInt64, FrameFlags)]] = [
      [(3, .last), (1, .last)], [(3, .last), (3, .last)], [(2, .last)], [(1, [.last, .response])],
      [(2, [.last, .response])], [(1, [])], [(0, .last)],
    ]
    for frames in cases {
      let error = try await fate(of: server) { peer in
        try await peer.greet(try TestPeer.identity("raw"))
        for (stream, flags) in frames {
          try await peer.send(.modelAssetsRequest, stream: stream, flags: flags)
        }
      }
      #expect(error?.code == .protocolViolation, "\(frames)")
    }
    await server.shutdown()
  }

  @Test("an unknown message type, or a value that is not allowed, fails its stream alone")
  func unknownType() async throws {
    let server = try await TestPeer.server(TestHandler())
    let peer = try await RawPeer.connect(to: server)
    try await peer.greet(try TestPeer.identity("raw"))
    // A cancel's empty payload under a type that is not known, sealed again.
    var unknown = try FrameEncoder.encode(.acknowledged, stream: 1, flags: .last).frames
    (unknown[6], unknown[7]) = (0xFF, 0x7F)
    let covered = unknown[..<20]
    let checksum = CRC32C.checksum(covered.span)
    for index in 0..<4 { unknown[20 + index] = UInt8(checksum >> (8 * index) & 0xFF) }
    try await peer.send(unknown)
    let negative = TestHandler.prefill([-1])
    try await peer.send(negative, stream: 3)
    try await peer.send(TestHandler.prefill([1]), stream: 5)
    var answers: [UInt64: Message] = [:]
    for (stream, message) in try await peer.messages(enough: 5) { answers[stream] = message }
    guard case .error(let first)? = answers[1], case .error(let second)? = answers[3] else {
      Issue.record("\(answers)")
      return
    }
    #expect(first.code == .unimplemented)
    #expect(second.code == .invalidArgument)
    #expect(answers[5] == TestHandler.chunk(0, [1]))
    try await peer.channel.close()
    await server.shutdown()
  }

  @Test("more streams than are allowed are refused one by one")
  func tooManyStreams() async throws {
    let server = try await TestPeer.server(TestHandler())
    let peer = try await RawPeer.connect(to: server)
    try await peer.greet(try TestPeer.identity("raw"))
    var frames: [UInt8] = []
    for index in 0...Limits.maximumStreamsPerConnection {
      frames += try FrameEncoder.encode(
        .modelAssetsRequest, stream: UInt64(1 + 2 * index), flags: .last,
        deadlineMilliseconds: 30_000
      ).frames
    }
    try await peer.send(frames)
    let last = try #require(try await peer.messages(enough: 3).last)
    guard case .error(let error) = last.message else {
      Issue.record("\(last)")
      return
    }
    #expect(error.code == .resourceExhausted)
    #expect(last.stream == UInt64(1 + 2 * Limits.maximumStreamsPerConnection))
    try await peer.channel.close()
    await server.shutdown()
  }

  @Test("a peer that reads nothing is cut off when too much waits for it")
  func slowReader() async throws {
    let handler = FloodingHandler()
    let server = try await TestPeer.server(
      handler,
      identity: try TestPeer.identity("prefill-0", role: .prefill, options: ControlOptions()))
    let peer = try await RawPeer.connect(to: server)
    try await peer.channel.setOption(.autoRead, value: false).get()
    try await peer.greet(try TestPeer.identity("raw"))
    try await peer.send(.modelAssetsRequest, stream: 1)
    for await _ in handler.closed {}
    try? await peer.channel.close()
    await server.shutdown()
  }
}

/// Sends for as long as it is taken.
private final class FloodingHandler: ControlHandler {
  let closed: AsyncStream<Never>
  private let closing: AsyncStream<Never>.Continuation

  init() { (closed, closing) = AsyncStream.makeStream(of: Never.self) }

  func connectionClosed(_ connection: ControlConnection) { closing.finish() }

  @concurrent
  func handle(
    _ message: Message, from connection: ControlConnection, reply: ReplyWriter
  ) async {
    let data = [UInt8](repeating: 1, count: 1 << 20)
    let chunk = ModelAssetChunk(
      name: "a", sha256: [UInt8](repeating: 0, count: 32), totalBytes: UInt64(data.count),
      offset: 0, data: data)
    while !reply.isCancelled { reply.send(.modelAssetChunk(chunk), last: false) }
  }
}
