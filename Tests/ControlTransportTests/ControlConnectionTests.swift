import ControlProtocol
import ControlTransport
import KVCore
import Testing

@Suite("Control connections", .timeLimit(.minutes(1)))
struct ControlConnectionTests {
  @Test("a request is answered over TCP, a socket path and an abstract socket")
  func answered() async throws {
    let addresses: [ControlAddress] = [
      .tcp(host: "127.0.0.1", port: 0), .tcp(host: "::1", port: 0), .unix(path: TestPeer.path()),
      .unix(path: "@baton-test-\(UInt64.random(in: 0 ... .max))"),
    ]
    for address in addresses {
      let server = try await TestPeer.server(at: address, TestHandler())
      let client = try await TestPeer.client(of: server)
      #expect(client.remote.engine.name == "prefill-0")
      #expect(client.remoteInfo.addresses == server.boundAddresses.map(\.description))
      #expect(server.boundAddresses != [.tcp(host: "127.0.0.1", port: 0)])
      let tokens: [TokenID] = [1, 2, 3]
      #expect(
        try await client.request(TestHandler.prefill(tokens)) == TestHandler.chunk(0, tokens))
      client.close()
      await server.shutdown()
    }
  }

  @Test("answers of a stream come in order and end after the last")
  func streamed() async throws {
    let server = try await TestPeer.server(TestHandler())
    let client = try await TestPeer.client(of: server)
    let tokens = (0..<2_000).map { TokenID($0) }
    var received: [TokenID] = []
    for try await message in try client.stream(TestHandler.generate(tokens)) {
      guard case .tokenChunk(let chunk) = message else { continue }
      #expect(Int(chunk.firstIndex) == received.count)
      received += chunk.tokens
    }
    #expect(received == tokens)
    await server.shutdown()
  }

  @Test("a thousand streams at once do not mix")
  func manyStreams() async throws {
    let server = try await TestPeer.server(TestHandler())
    let client = try await TestPeer.client(of: server)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<1_000 {
        group.addTask {
          let tokens = (0..<20).map { TokenID(index * 100 + $0) }
          var received: [TokenID] = []
          for try await message in try client.stream(TestHandler.generate(tokens)) {
            if case .tokenChunk(let chunk) = message { received += chunk.tokens }
          }
          #expect(received == tokens)
        }
      }
      try await group.waitForAll()
    }
    await server.shutdown()
  }

  @Test("messages of megabytes are split and come whole both ways")
  func largeMessages() async throws {
    let server = try await TestPeer.server(TestHandler())
    let client = try await TestPeer.client(of: server)
    // Four to five bytes each on the wire: more than 2 MiB.
    let tokens = (0..<Limits.maximumPromptTokens / 2).map { TokenID.max - TokenID($0) }
    #expect(
      try await client.request(TestHandler.prefill(tokens)) == TestHandler.chunk(0, tokens))
    await server.shutdown()
  }

  @Test("a request that is too large is refused here and hurts nobody")
  func tooLarge() async throws {
    let server = try await TestPeer.server(TestHandler())
    let client = try await TestPeer.client(of: server)
    let tokens = [TokenID](repeating: .max, count: 4 << 20)
    let error = await TestPeer.error { _ = try await client.request(TestHandler.prefill(tokens)) }
    #expect(error?.code == .invalidArgument)
    #expect(try await client.request(TestHandler.prefill([5])) == TestHandler.chunk(0, [5]))
    await server.shutdown()
  }

  @Test("an error answer is thrown with its code, text and retry time")
  func errorAnswer() async throws {
    let server = try await TestPeer.server(TestHandler())
    let client = try await TestPeer.client(of: server)
    let error = await TestPeer.error {
      _ = try await client.request(.leaseRelease(LeaseTickets(tickets: [])))
    }
    #expect(
      error == BatonError(.ticketUnknown, "no such ticket", retryAfterMilliseconds: 250))
    await server.shutdown()
  }

  @Test("a handler that returns without a last answer is answered for")
  func missingAnswer() async throws {
    let server = try await TestPeer.server(TestHandler())
    let client = try await TestPeer.client(of: server)
    let error = await TestPeer.error { _ = try await client.request(.acknowledged) }
    #expect(error?.code == .internalError)
    await server.shutdown()
  }

  @Test("the side that was connected to can ask as well")
  func bothSidesAsk() async throws {
    let server = try await TestPeer.server(TestHandler())
    let client = try await TestPeer.client(of: server, TestHandler())
    let prepare = LinkPrepare(engine: try EngineID("x"), addresses: [])
    guard case .metricsReply = try await client.request(.linkPrepare(prepare)) else {
      Issue.record("the client's handler was not asked")
      return
    }
    await server.shutdown()
  }

  @Test("cancelling a request reaches the handler's task, and the connection goes on")
  func cancelled() async throws {
    let handler = TestHandler()
    let server = try await TestPeer.server(handler)
    let client = try await TestPeer.client(of: server)
    let asking = Task { try await client.request(.modelAssetsRequest) }
    await handler.wait(for: .started)
    asking.cancel()
    await handler.wait(for: .cancelled)
    let error = await TestPeer.error { _ = try await asking.value }
    #expect(error?.code == .cancelled)
    #expect(try await client.request(TestHandler.prefill([1])) == TestHandler.chunk(0, [1]))
    await server.shutdown()
  }

  @Test("a request that is not answered in time is taken back, and one that is hears of nothing")
  func deadline() async throws {
    let handler = TestHandler()
    let server = try await TestPeer.server(handler)
    let client = try await TestPeer.client(of: server)
    let error = await TestPeer.error {
      _ = try await client.request(.modelAssetsRequest, within: .milliseconds(10))
    }
    #expect(error?.code == .deadlineExceeded)
    await handler.wait(for: .cancelled)
    let answer = try await client.request(TestHandler.prefill([1]), within: .seconds(30))
    #expect(answer == TestHandler.chunk(0, [1]))
    await server.shutdown()
  }

  @Test("cancelling or letting go of a stream reaches the handler's task")
  func abandonedStream() async throws {
    let handler = TestHandler()
    let server = try await TestPeer.server(handler)
    let client = try await TestPeer.client(of: server)
    let reading = Task {
      for try await _ in try client.stream(.modelAssetsRequest) {}
    }
    await handler.wait(for: .started)
    reading.cancel()
    await handler.wait(for: .cancelled)
    #expect(await TestPeer.error { try await reading.value }?.code == .cancelled)

    var stream: MessageStream? = try client.stream(.modelAssetsRequest)
    #expect(stream != nil)
    await handler.wait(for: .started)
    stream = nil
    await handler.wait(for: .cancelled)
    await server.shutdown()
  }

  @Test("a task that is cancelled before it asks gets no answer and leaves nothing behind")
  func cancelledBefore() async throws {
    let server = try await TestPeer.server(TestHandler())
    let client = try await TestPeer.client(of: server)
    for _ in 0..<100 {
      let asking = Task { try await client.request(.modelAssetsRequest) }
      asking.cancel()
      #expect(await TestPeer.error { _ = try await asking.value }?.code == .cancelled)
    }
    #expect(try await client.request(TestHandler.prefill([1])) == TestHandler.chunk(0, [1]))
    await server.shutdown()
  }

  @Test("when a connection ends, all that waits fails and both handlers are told")
  func lost() async throws {
    let handler = TestHandler()
    let local = TestHandler()
    let server = try await TestPeer.server(handler)
    let client = try await TestPeer.client(of: server, local)
    let asking = Task { try await client.request(.modelAssetsRequest) }
    let reading = Task { for try await _ in try client.stream(.modelAssetsRequest) {} }
    let waiting = Task { await client.waitUntilClosed() }
    await handler.wait(for: .started)
    await handler.wait(for: .started)
    await server.shutdown()
    #expect(await TestPeer.error { _ = try await asking.value }?.code == .peerGone)
    #expect(await TestPeer.error { try await reading.value }?.code == .peerGone)
    await waiting.value
    await local.wait(for: .closed("prefill-0"))
    #expect(!client.isOpen)
    #expect(
      await TestPeer.error { _ = try await client.request(.metricsRequest) }?.code == .peerGone)
  }

  @Test("closing here cancels the peer's handlers and fails our requests")
  func closed() async throws {
    let handler = TestHandler()
    let server = try await TestPeer.server(handler)
    let client = try await TestPeer.client(of: server)
    let asking = Task { try await client.request(.modelAssetsRequest) }
    await handler.wait(for: .started)
    client.close()
    #expect(await TestPeer.error { _ = try await asking.value }?.code == .cancelled)
    await handler.wait(for: .cancelled)
    await server.shutdown()
  }
}
