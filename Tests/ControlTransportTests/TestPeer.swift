import ControlProtocol
import ControlTransport
import ControlWire
import Foundation
import KVCore
import Logging
import NIOCore
import NIOPosix

/// Identities and sockets for tests.
enum TestPeer {
  /// Raw peers answer no pings, and machines that run tests may be slow.
  static let patient = ControlOptions(peerTimeout: .seconds(60))
  static let group = MultiThreadedEventLoopGroup.singleton
  static let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

  static func identity(
    _ name: String, role: Role = .decode, heads: Int = 4, fingerprint: UInt8 = 7,
    options: ControlOptions = patient
  ) throws -> LocalIdentity {
    let group = CacheGroup(layers: 2, keyValueHeads: heads, headDimension: 16, dataType: .float32)
    let model = ModelSummary(
      name: "small", fingerprint: [UInt8](repeating: fingerprint, count: 32),
      geometry: KVGeometry(blockTokens: 16, groups: [group]), contextTokens: 128,
      vocabularySize: 256, endTokens: [2], poolBlocks: 64)
    return LocalIdentity(
      engine: try EngineID(name), incarnation: .random(), role: role,
      info: PeerInfo(
        model: role == .proxy ? nil : model, bootID: "boot", processID: 1, addresses: [], ranks: 1),
      options: options)
  }

  static func server(
    at address: ControlAddress = .unix(path: "@baton-test-\(UInt64.random(in: 0 ... .max))"),
    _ handler: any ControlHandler, identity: LocalIdentity? = nil,
    handshakeTimeout: Duration = .seconds(10)
  ) async throws -> ControlServer {
    try await ControlServer.start(
      addresses: [address],
      identity: try identity ?? Self.identity("prefill-0", role: .prefill), handler: handler,
      group: group, logger: logger, handshakeTimeout: handshakeTimeout)
  }

  static func client(
    of server: ControlServer, _ handler: any ControlHandler = RefusingHandler(),
    identity: LocalIdentity? = nil
  ) async throws -> ControlConnection {
    try await ControlClient.connect(
      to: server.boundAddresses[0],
      identity: try identity ?? Self.identity("decode-0"), handler: handler, group: group,
      logger: logger)
  }

  static func path() -> String {
    FileManager.default.temporaryDirectory
      .appending(path: "baton-\(UInt64.random(in: 0 ... .max)).sock").path()
  }

  /// What `body` throws, as a `BatonError`.
  static func error(of body: () async throws -> Void) async -> BatonError? {
    do {
      try await body()
      return nil
    } catch {
      return BatonError(wrapping: error)
    }
  }
}

extension ControlConnection {
  /// Asks with time enough for every test.
  func request(_ message: Message) async throws -> Message {
    try await request(message, within: .seconds(30))
  }

  /// The same for answers that come one by one.
  func stream(_ message: Message) throws(BatonError) -> MessageStream {
    try stream(message, within: .seconds(30))
  }
}

/// A peer that speaks bytes, so that it can say what no Baton peer would.
struct RawPeer: Sendable {
  private final class Collector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    let bytes: AsyncStream<[UInt8]>.Continuation

    init(_ bytes: AsyncStream<[UInt8]>.Continuation) { self.bytes = bytes }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      bytes.yield(Array(buffer: unwrapInboundIn(data)))
    }

    func channelInactive(context: ChannelHandlerContext) { bytes.finish() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
      context.close(promise: nil)
    }
  }

  let channel: any Channel
  let bytes: AsyncStream<[UInt8]>

  static func connect(to server: ControlServer) async throws -> RawPeer {
    guard case .unix(let path) = server.boundAddresses[0] else { fatalError("not a Unix socket") }
    let (bytes, continuation) = AsyncStream.makeStream(of: [UInt8].self)
    let channel = try await ClientBootstrap(group: TestPeer.group)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Collector(continuation))
        }
      }
      .connect(unixDomainSocketPath: "\0" + path.dropFirst()).get()
    return RawPeer(channel: channel, bytes: bytes)
  }

  func send(_ bytes: [UInt8]) async throws {
    try await channel.writeAndFlush(ByteBuffer(bytes: bytes))
  }

  func send(_ message: Message, stream: UInt64, flags: FrameFlags = .last) async throws {
    let isRequest = stream != 0 && flags == .last && message != .cancel
    try await send(
      try FrameEncoder.encode(
        message, stream: stream, flags: flags, deadlineMilliseconds: isRequest ? 30_000 : nil
      ).frames)
  }

  /// Goes through the handshake as the initiator; what the server answers is left unread.
  func greet(
    _ identity: LocalIdentity, versions: [UInt32] = [1], flags: FrameFlags = .last
  ) async throws {
    let hello = Hello(
      versions: versions, engine: identity.engine, incarnation: identity.incarnation,
      role: identity.role, features: [], nonce: [UInt8](repeating: 1, count: 32))
    try await send(.hello(hello), stream: 0, flags: flags)
    guard flags == .last else { return }
    if versions == [1] { try await send(.peerInfo(identity.info), stream: 0) }
  }

  /// Every message until the server closes the connection, or until `enough` have come; pings,
  /// which come when they like, only if they are asked for.
  func messages(
    enough: Int = .max, withPings: Bool = false
  ) async throws -> [(stream: UInt64, message: Message)] {
    var decoder = FrameDecoder(limits: .established)
    var messages: [(stream: UInt64, message: Message)] = []
    for await piece in bytes {
      decoder.feed(piece.span)
      while let received = try decoder.nextMessage() {
        let content = try received.content.get()
        if case .ping = content, !withPings { continue }
        messages.append((received.header.stream, content))
      }
      if messages.count >= enough { break }
    }
    return messages
  }
}
