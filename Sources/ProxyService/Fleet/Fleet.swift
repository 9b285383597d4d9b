import ControlProtocol
package import ControlTransport
import Foundation
package import KVCore
package import Logging
import NIOPosix
import ServiceLifecycle
import Synchronization
import Tokenizer

/// The engines of one proxy: dials them, learns their model, and chooses among the live ones.
package final class Fleet: Service {
  private let state: Mutex<FleetState>
  private let identity: LocalIdentity
  private let servedModelName: String?
  /// How long a request may take in all.
  let requestTimeout: Duration
  private let prefillPolicy: any RoutingPolicy
  private let decodePolicy: any RoutingPolicy
  let logger: Logger

  /// - Parameters:
  ///   - engines: the control address of each engine and the role that it must have.
  ///   - servedModelName: what clients call the model; nil takes the engines' name.
  ///   - requestTimeout: how long a request may take in all its attempts.
  package init(
    engines: [(address: ControlAddress, role: Role)], identity: LocalIdentity,
    servedModelName: String?, requestTimeout: Duration,
    prefillPolicy: any RoutingPolicy = LeastOutstanding(),
    decodePolicy: any RoutingPolicy = LeastOutstanding(), logger: Logger
  ) {
    self.state = Mutex(
      FleetState(members: engines.map { .init(address: $0.address, role: $0.role) }))
    self.identity = identity
    self.servedModelName = servedModelName
    self.requestTimeout = requestTimeout
    self.prefillPolicy = prefillPolicy
    self.decodePolicy = decodePolicy
    self.logger = logger
  }

  /// Keeps a connection to every engine until shutdown.
  package func run() async throws {
    let count = state.withLock { $0.members.count }
    await cancelWhenGracefulShutdown {
      await withTaskGroup(of: Void.self) { group in
        for member in 0..<count { group.addTask { await self.maintain(member) } }
      }
    }
  }

  var readiness: Readiness {
    state.withLock { state in
      state.whatIsMissing().map { .notReady(reason: $0) } ?? .ready
    }
  }

  var model: ServedModel? { state.withLock { $0.model } }

  /// The connection of every live engine.
  var connections: [ControlConnection] {
    state.withLock { state in
      [Role.prefill, .decode, .hybrid].flatMap { state.live($0) }.map(\.connection)
    }
  }

  /// A route counted against its engines until `finish(_:)`; waits a bounded time for one, so that
  /// a request outlives the restart of an engine.
  ///
  /// - Parameter failed: members that have failed the request; others are taken where there are.
  ///
  /// Throws `BatonError` with `unavailable` that says what is missing.
  func route(avoiding failed: Set<Int>) async throws -> Route {
    if let route = tryRoute(avoiding: failed) { return route }
    let (changes, number) = watch()
    defer { state.withLock { _ = $0.waiters.removeValue(forKey: number) } }
    let found = await withTaskGroup(of: Route?.self) { group in
      group.addTask {
        for await _ in changes {
          if let route = self.tryRoute(avoiding: failed) { return route }
        }
        return nil
      }
      group.addTask {
        try? await Task.sleep(for: .milliseconds(ProxyLimits.routeWaitMilliseconds))
        return nil
      }
      let first = await group.next() ?? nil
      group.cancelAll()
      // The waiting task may have found a route in the moment of its cancellation.
      for await late in group { if let late { finish(late) } }
      return first
    }
    if let found { return found }
    try Task.checkCancellation()
    let missing = state.withLock { $0.whatIsMissing() } ?? "no engine took the request"
    throw BatonError(.unavailable, missing, retryAfterMilliseconds: 1_000)
  }

  func finish(_ route: Route) {
    state.withLock { state in
      for member in route.members { state.members[member].outstanding -= 1 }
    }
  }

  private func tryRoute(avoiding failed: Set<Int>) -> Route? {
    state.withLock {
      $0.route(avoiding: failed, prefillPolicy: prefillPolicy, decodePolicy: decodePolicy)
    }
  }

  /// A stream that is told of every change from now on, and once at the start.
  private func watch() -> (AsyncStream<Void>, Int) {
    let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    let number = state.withLock { state in
      state.nextWaiter += 1
      state.waiters[state.nextWaiter] = continuation
      return state.nextWaiter
    }
    continuation.yield()
    return (stream, number)
  }
}

extension Fleet {
  /// Dials one engine, and again whenever the connection is lost.
  private func maintain(_ member: Int) async {
    let (address, role) = state.withLock { ($0.members[member].address, $0.members[member].role) }
    var delay = ProxyLimits.firstRedialMilliseconds
    while !Task.isCancelled {
      do {
        let connection = try await ControlClient.connect(
          to: address, identity: identity, handler: RefusingHandler(),
          group: MultiThreadedEventLoopGroup.singleton, logger: logger)
        defer { connection.close() }
        try check(connection, hasRole: role)
        try await join(connection, as: member, role: role)
        delay = ProxyLimits.firstRedialMilliseconds
        logger.info(
          "engine joined",
          metadata: [
            "engine": "\(connection.remote.engine)", "role": "\(role)", "address": "\(address)",
          ])
        await withTaskGroup(of: Void.self) { group in
          group.addTask { await self.prepareLinks(of: connection, role: role) }
          await connection.waitUntilClosed()
          group.cancelAll()
        }
        lose(member, reason: "connection lost", isNews: false)
        guard !Task.isCancelled else { return }
        logger.warning("engine lost", metadata: ["engine": "\(connection.remote.engine)"])
      } catch {
        let error = BatonError(wrapping: error)
        // An engine that is only starting is no news.
        let isNews = error.code != .unavailable || delay == ProxyLimits.longestRedialMilliseconds
        lose(member, reason: error.message, isNews: isNews)
      }
      try? await Task.sleep(for: .milliseconds(delay))
      delay = min(delay * 2, ProxyLimits.longestRedialMilliseconds)
    }
  }

  /// Forgets the connection; a reason that is news is logged once.
  private func lose(_ member: Int, reason: String, isNews: Bool) {
    let (isLogged, address) = state.withLock { state in
      let isLogged = isNews && state.members[member].reportedReason != reason
      state.members[member].connection = nil
      state.members[member].reason = reason
      if isLogged { state.members[member].reportedReason = reason }
      return (isLogged, state.members[member].address)
    }
    if isLogged, !Task.isCancelled {
      logger.warning(
        "engine not reached", metadata: ["address": "\(address)", "reason": "\(reason)"])
    }
  }

  private func check(_ connection: ControlConnection, hasRole role: Role) throws(BatonError) {
    guard connection.remote.role == role else {
      throw BatonError(
        .incompatible,
        "engine \(connection.remote.engine) is configured as \(role) but is "
          + "\(connection.remote.role)")
    }
  }

  /// Makes an engine one of the live ones; refuses one that does not fit them.
  private func join(_ connection: ControlConnection, as member: Int, role: Role) async throws {
    let engine = connection.remote.engine
    guard let summary = connection.remoteInfo.model else {
      throw BatonError(.incompatible, "engine \(engine) serves no model")
    }
    if let refusal = state.withLock({ $0.refusal(of: summary, engine: engine, role: role) }) {
      throw refusal
    }
    let model = try await servedModel(of: summary, from: connection)
    let (refusal, waiters) = state.withLock { state in
      // Another may have joined while the model's files came.
      let refusal = state.refusal(of: summary, engine: engine, role: role)
      if refusal == nil {
        state.model = model
        state.members[member].connection = connection
        state.members[member].reportedReason = nil
      }
      return (refusal, Array(state.waiters.values))
    }
    if let refusal { throw refusal }
    for waiter in waiters { waiter.yield() }
  }

  /// What clients see of a model; its files are fetched where it is not the one served already.
  private func servedModel(
    of summary: ModelSummary, from connection: ControlConnection
  ) async throws -> ServedModel {
    let fingerprint = ServedModel.fingerprint(of: summary)
    if let model = state.withLock({ $0.model }), model.fingerprint == fingerprint { return model }
    let assets = try await ModelAssets.fetch(from: connection)
    return try ServedModel(
      name: servedModelName ?? summary.name, contextTokens: Int(summary.contextTokens),
      tokenizer: ModelAssets.tokenizer(of: assets),
      createdSeconds: Int64(Date().timeIntervalSince1970), fingerprint: fingerprint)
  }

  /// Has every decode engine set up its link to every prefill engine before the first request.
  private func prepareLinks(of connection: ControlConnection, role: Role) async {
    let (prefills, decodes) = state.withLock { state in
      (state.live(.prefill).map(\.connection), state.live(.decode).map(\.connection))
    }
    switch role {
    case .prefill:
      for decode in decodes { await prepareLink(prefill: connection, decode: decode) }
    case .decode:
      for prefill in prefills { await prepareLink(prefill: prefill, decode: connection) }
    case .hybrid, .proxy, .client:
      break
    }
  }

  private func prepareLink(prefill: ControlConnection, decode: ControlConnection) async {
    let prepare = LinkPrepare(
      engine: prefill.remote.engine, addresses: prefill.remoteInfo.addresses)
    do {
      _ = try await decode.request(
        .linkPrepare(prepare), within: .milliseconds(ProxyLimits.linkPrepareMilliseconds))
    } catch {
      guard !Task.isCancelled else { return }
      logger.warning(
        "link not prepared",
        metadata: [
          "prefill": "\(prefill.remote.engine)", "decode": "\(decode.remote.engine)",
          "error": "\(error)",
        ])
    }
  }
}
