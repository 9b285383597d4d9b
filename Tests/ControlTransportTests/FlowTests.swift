import ControlProtocol
import ControlTransport
import ControlWire
import KVCore
import NIOCore
import Testing

/// Credit, deadlines and liveness of real connections.
@Suite("Flow of connections", .timeLimit(.minutes(1)))
struct FlowTests {
  @Test("an answer that nobody reads waits at its sender, and others pass it")
  func slowReader() async throws {
    let handler = FloodHandler(answers: 2_000)
    let server = try await TestPeer.server(handler)
    let client = try await TestPeer.client(of: server)
    let slow = try client.stream(.modelAssetsRequest)
    await handler.madeAll()
    // 2,000 pieces of 1,000 bytes are made; others do not wait for their reader.
    for token in TokenID(0)..<100 {
      let answer = try await client.request(TestHandler.prefill([token]))
      #expect(answer == TestHandler.chunk(0, [token]))
    }
    var offsets: [UInt64] = []
    for try await message in slow {
      guard case .modelAssetChunk(let chunk) = message else { break }
      offsets.append(chunk.offset)
    }
    #expect(offsets == (0..<2_000).map { $0 * 1_000 })
    await server.shutdown()
  }

  @Test("who makes large answers can wait until they are taken")
  func sendWaiting() async throws {
    let handler = FloodHandler(answers: 500, waits: true)
    let server = try await TestPeer.server(handler)
    let client = try await TestPeer.client(of: server)
    var count = 0
    for try await _ in try client.stream(.modelAssetsRequest) {
      count += 1
      // What is made and not read is a window, two pieces, and what is on its way back.
      #expect(handler.made - count < 2 * StreamCredit.window / 1_000)
    }
    #expect(count == 500)
    await server.shutdown()
  }

  @Test("a cancelled stream's waiting answers are dropped, and its handler is told")
  func cancelWaiting() async throws {
    let handler = FloodHandler(answers: 40_000, waits: true)
    let server = try await TestPeer.server(handler)
    let client = try await TestPeer.client(of: server)
    let slow = Task { for try await _ in try client.stream(.modelAssetsRequest) { break } }
    try await slow.value
    await handler.madeAll()
    #expect(handler.made < 40_000)
    #expect(try await client.request(TestHandler.prefill([1])) == TestHandler.chunk(0, [1]))
    await server.shutdown()
  }

  @Test("answers without credit end the connection of who sends them")
  func unpaidAnswers() async throws {
    let (peer, server, connection) = try await rawServer()
    // Asked for, and not read.
    let answers = try connection.stream(.metricsRequest)
    // Its hello and info, its answer to the request, its own request.
    let stream: UInt64 = 2
    #expect(try await peer.messages(enough: 4).contains { $0.stream == stream })
    let piece = ModelAssetChunk(
      name: "a", sha256: [UInt8](repeating: 0, count: 32), totalBytes: 1 << 20, offset: 0,
      data: [UInt8](repeating: 1, count: 200_000))
    var frames: [UInt8] = []
    for _ in 0..<3 {
      frames += try FrameEncoder.encode(
        .modelAssetChunk(piece), stream: stream, flags: .response
      ).frames
    }
    // The server may close before the last byte is out.
    try? await peer.send(frames)
    await connection.waitUntilClosed()
    let error = await TestPeer.error { for try await _ in answers {} }
    #expect(error?.code == .peerGone)
    #expect(error?.message.contains("credit") == true)
    await server.shutdown()
  }

  @Test("unread answers of streams that have ended count, and the largest are given up first")
  func unreadBudget() async throws {
    let server = try await TestPeer.server(FloodHandler(answers: 1, pieceBytes: 12 << 20))
    let client = try await TestPeer.client(of: server)
    var streams: [MessageStream] = []
    for _ in 0..<7 { streams.append(try client.stream(.modelAssetsRequest)) }
    // Answered after all of theirs have come.
    for _ in 0..<7 {
      for try await _ in try client.stream(.modelAssetsRequest) {}
    }
    var (whole, refused) = (0, 0)
    for stream in streams {
      do {
        for try await _ in stream { whole += 1 }
      } catch let error as BatonError {
        #expect(error.code == .resourceExhausted)
        refused += 1
      }
    }
    #expect(whole + refused == 7 && refused >= 2 && whole >= 3, "\(whole) \(refused)")
    #expect(try await client.request(TestHandler.prefill([1])) == TestHandler.chunk(0, [1]))
    await server.shutdown()
  }

  @Test("a request without a deadline, or with one that cannot be, is refused")
  func missingDeadline() async throws {
    let server = try await TestPeer.server(TestHandler())
    let peer = try await RawPeer.connect(to: server)
    try await peer.greet(try TestPeer.identity("raw"))
    for (stream, deadline) in [(UInt64(1), UInt32?.none), (3, 0), (5, 86_400_001)] {
      try await peer.send(
        try FrameEncoder.encode(
          .metricsRequest, stream: stream, flags: .last, deadlineMilliseconds: deadline
        ).frames)
    }
    let errors = try await peer.messages(enough: 5).filter { $0.stream != 0 }.map(\.message)
    #expect(errors.count == 3)
    for case .error(let error) in errors { #expect(error.code == .invalidArgument) }
    try await peer.channel.close()
    await server.shutdown()
  }

  @Test("a request whose time is up is ended at the side that answers, too")
  func expired() async throws {
    let handler = TestHandler()
    let server = try await TestPeer.server(
      handler,
      identity: try TestPeer.identity(
        "prefill-0", role: .prefill,
        options: ControlOptions(peerTimeout: .seconds(20))))
    let peer = try await RawPeer.connect(to: server)
    try await peer.greet(try TestPeer.identity("raw"))
    try await peer.send(
      try FrameEncoder.encode(
        .modelAssetsRequest, stream: 1, flags: .last, deadlineMilliseconds: 1
      ).frames)
    await handler.wait(for: .cancelled)
    let last = try await peer.messages(enough: 3).last
    guard case .error(let error)? = last?.message else {
      Issue.record("\(String(describing: last))")
      return
    }
    #expect(error.code == .deadlineExceeded)
    try await peer.channel.close()
    await server.shutdown()
  }

  @Test("a peer that says nothing is asked, and given up when it does not answer")
  func silentPeer() async throws {
    let handler = TestHandler()
    let server = try await TestPeer.server(
      handler,
      identity: try TestPeer.identity(
        "prefill-0", role: .prefill,
        options: ControlOptions(peerTimeout: .milliseconds(200))))
    let peer = try await RawPeer.connect(to: server)
    try await peer.greet(try TestPeer.identity("raw"))
    let messages = try await peer.messages(withPings: true)
    #expect(messages.contains { if case .ping = $0.message { true } else { false } })
    guard case .error(let error)? = messages.last?.message else {
      Issue.record("\(messages)")
      return
    }
    #expect(error.code == .peerGone)
    await handler.wait(for: .closed("raw"))
    await server.shutdown()
  }

  @Test("a ping is answered at once, though more waits than the socket takes")
  func pingOvertakes() async throws {
    let server = try await TestPeer.server(
      FloodHandler(answers: 60, pieceBytes: 250_000),
      identity: try TestPeer.identity(
        "prefill-0", role: .prefill, options: ControlOptions(peerTimeout: .seconds(20))))
    let peer = try await RawPeer.connect(to: server)
    try await peer.greet(try TestPeer.identity("raw"))
    _ = try await peer.messages(enough: 2)
    try await peer.channel.setOption(.autoRead, value: false).get()
    // 64 streams that all send as much as they may before they wait for credit.
    for index in UInt64(0)..<64 {
      try await peer.send(.modelAssetsRequest, stream: 1 + 2 * index)
    }
    try await peer.send(.ping(77), stream: 0)
    try await peer.channel.setOption(.autoRead, value: true).get()
    let order = try await peer.messages(enough: 65).map(\.message)
    let place = try #require(order.firstIndex(of: .pong(77)))
    #expect(place < order.count - 1, "the pong came after all that was sent before")
    try await peer.channel.close()
    await server.shutdown()
  }

  @Test("connections of one machine do not compress unless they are told to")
  func compression() async throws {
    for (compression, offered) in [(ControlOptions.Compression.remote, false), (.always, true)] {
      let options = ControlOptions(compression: compression)
      let server = try await TestPeer.server(
        TestHandler(),
        identity: try TestPeer.identity("prefill-0", role: .prefill, options: options))
      let client = try await TestPeer.client(
        of: server, identity: try TestPeer.identity("decode-0", options: options))
      #expect(client.remote.features.contains(HandshakeMachine.Feature.zstd) == offered)
      let tokens = (0..<300_000).map { TokenID($0 % 100) }
      let answer = try await client.request(TestHandler.prefill(tokens))
      #expect(answer == TestHandler.chunk(0, tokens))
      client.close()
      await server.shutdown()
    }
  }

  /// A server, a connection to it from the server's side, and the raw peer at its other end.
  private func rawServer() async throws -> (RawPeer, ControlServer, ControlConnection) {
    let (connections, continuation) = AsyncStream.makeStream(of: ControlConnection.self)
    let server = try await TestPeer.server(ConnectionCatcher(connections: continuation))
    let peer = try await RawPeer.connect(to: server)
    try await peer.greet(try TestPeer.identity("raw"))
    try await peer.send(.metricsRequest, stream: 1)
    for await connection in connections { return (peer, server, connection) }
    throw BatonError(.internalError, "no connection came")
  }
}

/// Hands out the connection of the first request.
private struct ConnectionCatcher: ControlHandler {
  let connections: AsyncStream<ControlConnection>.Continuation

  func handle(
    _ message: Message, from connection: ControlConnection, reply: ReplyWriter
  ) async {
    connections.yield(connection)
    reply.send(.acknowledged, last: true)
  }
}
