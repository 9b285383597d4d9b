import BatonRuntime
import Foundation
import Logging
import NIOPosix
import ProxyService

/// Runs the edge on a free port in front of a scripted fleet.
enum EdgeFixture {
  static func run<Result: Sendable>(
    _ backend: ScriptedBackend, maximumConcurrent: Int = 8, metrics: BatonMetrics = BatonMetrics(),
    stallTime: Duration = EdgeLimits.stallTime, unreadBytes: Int = EdgeLimits.maximumUnreadBytes,
    _ body: (_ port: Int) async throws -> Result
  ) async throws -> Result {
    let (urls, continuation) = AsyncStream<String>.makeStream()
    let server = Self.server(
      backend, maximumConcurrent: maximumConcurrent, metrics: metrics, stallTime: stallTime,
      unreadBytes: unreadBytes
    ) { url, _ in continuation.yield(url) }
    return try await withThrowingTaskGroup { group in
      group.addTask { try await server.run() }
      let result = try await body(try await port(in: urls))
      group.cancelAll()
      return result
    }
  }

  static let logger = Logger(label: "edge") { _ in SwiftLogNoOpLogHandler() }

  static func server(
    _ backend: ScriptedBackend, port: Int = 0, maximumConcurrent: Int = 8,
    metrics: BatonMetrics = BatonMetrics(), drainTime: Duration = EdgeLimits.drainTime,
    stallTime: Duration = EdgeLimits.stallTime, unreadBytes: Int = EdgeLimits.maximumUnreadBytes,
    onReady: @escaping @Sendable (String, String) throws -> Void = { _, _ in }
  ) -> EdgeServer {
    EdgeServer(
      backend: backend, host: "127.0.0.1", port: port, maximumConcurrent: maximumConcurrent,
      metrics: metrics, eventLoopGroup: .singletonMultiThreadedEventLoopGroup, logger: logger,
      drainTime: drainTime, stallTime: stallTime, unreadBytes: unreadBytes, onReady: onReady)
  }

  /// The port of the first URL that a server announces.
  static func port(in urls: AsyncStream<String>) async throws -> Int {
    var iterator = urls.makeAsyncIterator()
    guard let url = await iterator.next(), let port = URL(string: url)?.port else {
      throw EdgeConnection.Closed()
    }
    return port
  }

  /// The body of a request, with `fields` added.
  static func body(_ fields: String = "") -> String {
    #"{"model": "bytes", "prompt": "ab"\#(fields.isEmpty ? "" : ", " + fields)}"#
  }
}
