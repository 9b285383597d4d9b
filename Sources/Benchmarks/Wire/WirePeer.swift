import ControlProtocol
import ControlTransport
import Foundation
import KVCore
import Logging
import NIOCore
import NIOPosix
import Platform

/// Where the second process of `baton bench wire` is reached.
struct WirePeerAddresses: Codable, Sendable {
  var unix: String
  var tcp: String
  var unixEchoName: String
  var tcpEchoPort: Int
}

/// The second process: answers requests, and echoes bytes.
package enum WirePeer {
  /// The hidden subcommand of `baton bench` that runs it.
  package static let commandName = "wire-peer"

  static let logger = Logger(label: "baton") { _ in SwiftLogNoOpLogHandler() }

  /// How both processes present themselves.
  static func identity(_ name: String, _ role: Role) throws(BatonError) -> LocalIdentity {
    LocalIdentity(
      engine: try EngineID(name), incarnation: .random(), role: role,
      info: PeerInfo(model: nil, bootID: Node.bootID(), processID: 1, addresses: [], ranks: 1),
      options: ControlOptions())
  }

  /// Tells its addresses on standard output and returns when standard input ends.
  package static func run() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let name = "baton-bench-" + Hexadecimal.string(UInt64.random(in: 0 ... .max))
    let server = try await ControlServer.start(
      addresses: [.unix(path: "@" + name), .tcp(host: "127.0.0.1", port: 0)],
      identity: try identity("wire-peer", .proxy), handler: Handler(), group: group,
      logger: logger)
    let unixEcho = try await EchoChannel.serve(
      at: SocketAddress(unixDomainSocketPath: "\0" + name + "-echo"), group: group)
    let tcpEcho = try await EchoChannel.serve(
      at: SocketAddress(ipAddress: "127.0.0.1", port: 0), group: group)
    let addresses = WirePeerAddresses(
      unix: "\(server.boundAddresses[0])", tcp: "\(server.boundAddresses[1])",
      unixEchoName: name + "-echo", tcpEchoPort: tcpEcho.localAddress?.port ?? 0)
    let line = try JSONEncoder().encode(addresses) + Data("\n".utf8)
    try FileHandle.standardOutput.write(contentsOf: line)
    // Reading blocks, and has a thread for it.
    try await PlatformThread.run(name: "baton-bench") { while readLine() != nil {} }
    await server.shutdown()
    try await unixEcho.close()
    try await tcpEcho.close()
    try await group.shutdownGracefully()
  }

  /// Acknowledges what asks for no more, writes as many chunks as tokens are wanted, and tells the
  /// processor time of its process.
  private struct Handler: ControlHandler {
    /// As an engine does: not on the event loop.
    @concurrent
    private func write(tokens: UInt32, to reply: ReplyWriter) async {
      for index in 0..<tokens {
        let isLast = index == tokens - 1
        let chunk = TokenChunk(
          firstIndex: index, tokens: [1_234], finish: isLast ? .length : nil, migration: nil)
        reply.send(.tokenChunk(chunk), last: isLast)
      }
    }

    func accept(
      _ message: Message, from connection: ControlConnection, reply: ReplyWriter
    ) -> Bool {
      guard case .leaseRelease = message else { return false }
      reply.send(.acknowledged, last: true)
      return true
    }

    func handle(
      _ message: Message, from connection: ControlConnection, reply: ReplyWriter
    ) async {
      switch message {
      case .generateRequest(let request):
        await write(tokens: request.sampling.maximumTokens, to: reply)
      case .metricsRequest:
        let time = PlatformThread.processorTimeOfProcess() / .seconds(1)
        let family = MetricFamily(
          name: "process_cpu_seconds", help: "Processor time.", kind: .gauge,
          samples: [.init(suffix: "", labels: [], value: time)])
        reply.send(.metricsReply([family]), last: true)
      default:
        reply.send(.acknowledged, last: true)
      }
    }
  }
}
