import ControlProtocol
import ControlTransport
import Foundation
import KVCore
import NIOCore
import NIOPosix
import Testing

@Suite("Control servers", .timeLimit(.minutes(1)))
struct ControlServerTests {
  @Test(
    "an address that other machines reach is not served",
    arguments: ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.org:80"])
  func wideAddress(text: String) async throws {
    let error = await TestPeer.error {
      _ = try await TestPeer.server(at: try ControlAddress(text), TestHandler())
    }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains(text) == true)
    #expect(error?.message.contains("--cluster-key-file") == true)
  }

  @Test("with a cluster key an address that other machines reach is served, to who has the key")
  func keyed() async throws {
    func keys(_ byte: UInt8) throws -> ClusterKeys {
      try ClusterKeys([ClusterKey([UInt8](repeating: byte, count: 32))])
    }
    let server = try await TestPeer.server(
      at: .tcp(host: "0.0.0.0", port: 0), TestHandler(),
      identity: try TestPeer.identity(
        "prefill-0", role: .prefill, options: ControlOptions(keys: try keys(1))))
    guard case .tcp(_, let port) = server.boundAddresses[0] else { fatalError("not TCP") }
    func connect(_ keys: ClusterKeys?) async throws -> ControlConnection {
      try await ControlClient.connect(
        to: .tcp(host: "127.0.0.1", port: port),
        identity: try TestPeer.identity("decode-0", options: ControlOptions(keys: keys)),
        group: TestPeer.group,
        logger: TestPeer.logger)
    }
    let client = try await connect(try keys(1))
    let answer = try await client.request(TestHandler.prefill([4]))
    #expect(answer == TestHandler.chunk(0, [4]))
    for wrong in [nil, try keys(2)] {
      let error = await TestPeer.error { _ = try await connect(wrong) }
      #expect(error?.code == .unauthenticated)
    }
    client.close()
    await server.shutdown()
  }

  @Test("strangers that say nothing take no place of a peer, and the oldest of them go first")
  func strangers() async throws {
    let server = try await TestPeer.server(TestHandler())
    var strangers: [RawPeer] = []
    for _ in 0..<Limits.maximumStrangers + 8 {
      strangers.append(try await RawPeer.connect(to: server))
    }
    let client = try await TestPeer.client(of: server)
    #expect(try await client.request(TestHandler.prefill([1])) == TestHandler.chunk(0, [1]))
    try await strangers[0].channel.closeFuture.get()
    for stranger in strangers { try? await stranger.channel.close() }
    await server.shutdown()
  }

  @Test("a path of a living server is not taken, and is removed at shutdown")
  func livingPath() async throws {
    let path = TestPeer.path()
    let server = try await TestPeer.server(at: .unix(path: path), TestHandler())
    let error = await TestPeer.error {
      _ = try await TestPeer.server(at: .unix(path: path), TestHandler())
    }
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains(path) == true)
    let client = try await TestPeer.client(of: server)
    #expect(client.isOpen)
    await server.shutdown()
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  @Test("a path whose server has died is replaced")
  func stalePath() async throws {
    let path = TestPeer.path()
    // A listener under another name closes without removing this one, as a process that dies does.
    let first = TestPeer.path()
    let dead = try await ServerBootstrap(group: TestPeer.group).bind(unixDomainSocketPath: first)
      .get()
    try FileManager.default.moveItem(atPath: first, toPath: path)
    try await dead.close()
    #expect(FileManager.default.fileExists(atPath: path))
    let server = try await TestPeer.server(at: .unix(path: path), TestHandler())
    let client = try await TestPeer.client(of: server)
    #expect(client.isOpen)
    await server.shutdown()
  }

  @Test("a file that is no socket is left alone")
  func foreignFile() async throws {
    let path = TestPeer.path()
    try Data("keep".utf8).write(to: URL(filePath: path))
    let error = await TestPeer.error {
      _ = try await TestPeer.server(at: .unix(path: path), TestHandler())
    }
    #expect(error?.code == .unavailable)
    #expect(try Data(contentsOf: URL(filePath: path)) == Data("keep".utf8))
    try FileManager.default.removeItem(atPath: path)
  }

  @Test("when one address cannot be served, none stays bound")
  func allOrNothing() async throws {
    let path = TestPeer.path()
    let error = await TestPeer.error {
      _ = try await ControlServer.start(
        addresses: [.unix(path: path), .tcp(host: "0.0.0.0", port: 0)],
        identity: try TestPeer.identity("prefill-0"), handler: TestHandler(),
        group: TestPeer.group, logger: TestPeer.logger)
    }
    #expect(error?.code == .invalidArgument)
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  @Test("nobody at the address is unavailable and names it")
  func nobody() async throws {
    for address in [ControlAddress.tcp(host: "127.0.0.1", port: 1), .unix(path: "@baton-nobody")] {
      let error = await TestPeer.error {
        _ = try await ControlClient.connect(
          to: address, identity: try TestPeer.identity("decode-0"), group: TestPeer.group,
          logger: TestPeer.logger)
      }
      #expect(error?.code == .unavailable)
      #expect(error?.message.contains(address.description) == true)
    }
  }

  @Test("engines with other models, and an engine's own name, are refused with both values")
  func incompatible() async throws {
    let server = try await TestPeer.server(TestHandler())
    let cases: [(LocalIdentity, [String])] = [
      (try TestPeer.identity("decode-0", heads: 8), ["8 KV heads", "4 KV heads"]),
      (
        try TestPeer.identity("decode-0", fingerprint: 9),
        [String(repeating: "09", count: 32), String(repeating: "07", count: 32)]
      ),
      (try TestPeer.identity("prefill-0"), ["prefill-0"]),
      (server.identity, ["itself"]),
    ]
    for (identity, values) in cases {
      let error = await TestPeer.error {
        _ = try await TestPeer.client(of: server, identity: identity)
      }
      #expect(error?.code == .incompatible)
      for value in values { #expect(error?.message.contains(value) == true, "\(value)") }
    }
    let proxy = try await TestPeer.client(
      of: server, identity: try TestPeer.identity("proxy-0", role: .proxy))
    #expect(proxy.remoteInfo.model?.name == "small")
    await server.shutdown()
  }

  @Test("handlers hear of connections that close")
  func lifecycle() async throws {
    let handler = TestHandler()
    let server = try await TestPeer.server(handler)
    let client = try await TestPeer.client(of: server)
    client.close()
    await handler.wait(for: .closed("decode-0"))
    await server.shutdown()
  }
}
