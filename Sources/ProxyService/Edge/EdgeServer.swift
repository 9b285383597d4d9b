package import BatonRuntime
package import ControlTransport
import Foundation
import HummingbirdCore
import KVCore
package import Logging
package import NIOCore
import ServiceLifecycle

/// The HTTP/1.1 server that clients talk to.
package struct EdgeServer: Service {
  private let host: String
  private let port: Int
  private let responder: EdgeResponder
  private let eventLoopGroup: any EventLoopGroup
  private let drainTime: Duration
  private let onReady: @Sendable (_ url: String, _ model: String) throws -> Void

  /// - Parameters:
  ///   - port: 0 takes a free one.
  ///   - maximumConcurrent: completions in progress at once; more are answered with status 429.
  ///   - metrics: where completions are counted; `GET /metrics` merges what the backend reports
  ///     into it.
  ///   - drainTime: how long answers in progress may go on after a graceful shutdown has begun;
  ///     what is not complete then ends with an error.
  ///   - stallTime, unreadBytes: how long one write of an answer may take, and how much of it may
  ///     wait behind that, before the client is cut off.
  ///   - onReady: called once, when the server listens and the backend is ready, with the server's
  ///     URL and the name of a model that it serves.
  package init(
    backend: any GenerationBackend, host: String, port: Int, maximumConcurrent: Int,
    metrics: BatonMetrics, eventLoopGroup: any EventLoopGroup, logger: Logger,
    drainTime: Duration = EdgeLimits.drainTime, stallTime: Duration = EdgeLimits.stallTime,
    unreadBytes: Int = EdgeLimits.maximumUnreadBytes,
    onReady: @escaping @Sendable (_ url: String, _ model: String) throws -> Void = {
      try Supervision.notify(.serving(url: $0, model: $1))
    }
  ) {
    self.host = host
    self.port = port
    self.eventLoopGroup = eventLoopGroup
    self.drainTime = drainTime
    self.onReady = onReady
    for outcome in RequestOutcome.allCases { metrics.requests.with(outcome.rawValue).add(0) }
    responder = EdgeResponder(
      backend: backend, admission: Admission(limit: maximumConcurrent),
      running: RunningAnswers(), stallTime: stallTime, unreadBytes: unreadBytes, metrics: metrics,
      logger: logger)
  }

  /// Answers completions on control connections, within the same limits and figures.
  package var controlHandler: any ControlHandler {
    TextHandler(
      backend: responder.backend, admission: responder.admission, metrics: responder.metrics,
      logger: responder.logger)
  }

  /// Serves until the service group shuts down.
  ///
  /// Throws `BatonError` with `invalidArgument` where the host or the port cannot be listened on.
  package func run() async throws {
    let (urls, continuation) = AsyncStream<String>.makeStream()
    let server = try makeServer { url in continuation.yield(url) }
    try await withThrowingDiscardingTaskGroup { [self] group in
      group.addTask {
        for await url in urls { try await announce(url) }
      }
      group.addTask { try await stopAnswersAtShutdown() }
      do {
        try await server.run()
      } catch let error as IOError {
        throw listenError(error)
      } catch is SocketAddressError.UnknownHost {
        throw BatonError(
          .invalidArgument, "\(Settings.host.flag): \(host) is no address and no known name of one")
      }
      continuation.finish()
      group.cancelAll()
    }
  }

  /// Lets answers in progress go on for `drainTime` after a graceful shutdown has begun, then
  /// fails them: a client that is told can ask elsewhere, a broken connection says nothing.
  private func stopAnswersAtShutdown() async throws {
    do {
      try await gracefulShutdown()
      try await Task.sleep(for: drainTime)
    } catch is CancellationError {
      return
    }
    responder.running.stop()
  }

  /// Says which of the settings is wrong; see bind(2).
  private func listenError(_ error: IOError) -> BatonError {
    let message =
      switch error.errnoCode {
      case EADDRINUSE:
        "\(Settings.port.flag): \(host):\(port) is in use by another process; choose another port"
      case EADDRNOTAVAIL:
        "\(Settings.host.flag): \(host) is not an address of this machine"
      case EACCES:
        "\(Settings.port.flag): \(port) is reserved by this machine; choose a port from 1024"
      default:
        "\(Settings.host.flag), \(Settings.port.flag): \(host):\(port) cannot be listened on: "
          + "\(error)"
      }
    return BatonError(.invalidArgument, message)
  }

  private func makeServer(
    onListening: @escaping @Sendable (_ url: String) -> Void
  ) throws -> any Service {
    var configuration = HTTP1Channel.Configuration(additionalChannelHandlers: [
      ExpectContinue(), ClientConnection(),
    ])
    configuration.idleTimeout = EdgeLimits.idleTimeout
    return try HTTPServerBuilder.http1(configuration: configuration).buildServer(
      configuration: ServerConfiguration(
        address: .hostname(host, port: port),
        availableConnectionsDelegate: .maximum(
          EdgeLimits.maximumConnections, logger: responder.logger)),
      eventLoopGroup: eventLoopGroup, logger: responder.logger,
      responder: { [responder] request, writer, channel in
        try await responder.respond(to: request, writer: writer, channel: channel)
      },
      onServerRunning: { [host, port] channel in
        let shownHost = host.contains(":") ? "[\(host)]" : host
        onListening("http://\(shownHost):\(channel.localAddress?.port ?? port)")
      })
  }

  /// Waits for the backend, whose engines take their time to start, and says so once.
  private func announce(_ url: String) async throws {
    while true {
      if responder.backend.readiness == .ready, let model = responder.backend.models().first {
        responder.logger.info("serving", metadata: ["url": "\(url)", "model": "\(model.name)"])
        try onReady(url, model.name)
        return
      }
      do {
        try await Task.sleep(for: EdgeLimits.readinessPollInterval)
      } catch {
        return
      }
    }
  }
}
