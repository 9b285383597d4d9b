import ControlProtocol
import ControlTransport
import EngineHost
import KVCore
import KVPool
import Logging
import Migration
import NIOPosix

/// The links of this decode engine, one to each start of each prefill engine, set up on first use.
actor LinkTable {
  private let host: EngineHost
  private let identity: LocalIdentity
  private let handler: LinkHandler
  /// Lets go of the memory of engines that are gone, which takes time.
  private let copier: WorkerThread
  private let leases: LeaseKeeper
  private var entries: [EngineID: Entry] = [:]
  /// All that are open: those of `entries`, and those that others have replaced.
  private var links: [LinkID: Link] = [:]
  /// Those that are being replaced.
  private var repairs: [LinkID: Task<Void, Never>] = [:]

  /// One engine's link, or the set-up that is under way.
  private struct Entry {
    var machine = LinkMachine.none
    var opening: Task<Link, any Error>?
    /// The best transport that a link to it has had.
    var bestTransport: TransportKind?
  }

  /// - Parameter handler: answers what prefill engines ask on the links' connections.
  init(
    host: EngineHost, identity: LocalIdentity, handler: LinkHandler, copier: WorkerThread,
    leases: LeaseKeeper
  ) {
    self.host = host
    self.handler = handler
    self.copier = copier
    self.identity = identity
    self.leases = leases
  }

  /// The live link to an engine; sets it up when there is none.
  ///
  /// - Parameter incarnation: the start of the engine that is meant; nil for whichever runs.
  ///
  /// Throws `BatonError`: `ticketUnknown` when the engine has started again since, `incompatible`
  /// when it runs another model or geometry, `unavailable` when it cannot be reached,
  /// `deadlineExceeded` when it is reached and does not answer.
  func link(
    to engine: EngineID, incarnation: Incarnation?, addresses: [String]
  ) async throws -> Link {
    let link = try await liveLink(to: engine, addresses: addresses)
    guard incarnation == nil || incarnation == link.incarnation else {
      throw BatonError(.ticketUnknown, "the ticket is from another start of \(engine)")
    }
    return link
  }

  private func liveLink(to engine: EngineID, addresses: [String]) async throws -> Link {
    // A set-up that others began may have had other addresses than this ticket, of an earlier start
    // of the engine; so who has waited for one that failed tries once more.
    if entries[engine]?.machine == .opening, let opening = entries[engine]?.opening {
      if let link = try? await opening.value { return link }
      try Task.checkCancellation()
    }
    if case .live(let id) = entries[engine]?.machine, links[id]?.isAlive == false {
      _ = entries[engine]?.machine.on(.lost(id))
    }
    switch entries[engine, default: Entry()].machine.on(.wanted) {
    case .use(let id):
      if let link = links[id] { return link }
    case .join:
      if let opening = entries[engine]?.opening { return try await opening.value }
    case .open:
      // Not a child of the request that came first: others wait for it when that one is gone.
      let opening = Task { try await bringUp(engine, addresses: addresses) }
      entries[engine]?.opening = opening
      return try await opening.value
    case .nothing: break
    }
    preconditionFailure("a link that is wanted is opened, joined or used")
  }

  private func bringUp(_ engine: EngineID, addresses: [String]) async throws -> Link {
    defer { entries[engine]?.opening = nil }
    do {
      let link = try await open(engine, addresses: addresses)
      _ = entries[engine]?.machine.on(.opened(link.id))
      take(link)
      return link
    } catch {
      _ = entries[engine]?.machine.on(.failed)
      throw error
    }
  }

  private func open(_ engine: EngineID, addresses: [String]) async throws -> Link {
    var failure = BatonError(.unavailable, "engine \(engine) has no address")
    for text in addresses {
      do {
        let connection = try await ControlClient.connect(
          to: ControlAddress(text), identity: identity, handler: handler,
          group: MultiThreadedEventLoopGroup.singleton, logger: host.logger)
        do {
          return try await setUp(engine, over: connection)
        } catch {
          connection.close()
          throw error
        }
      } catch {
        failure = BatonError(wrapping: error)
      }
    }
    throw failure
  }

  private func setUp(_ engine: EngineID, over connection: ControlConnection) async throws -> Link {
    let start = ContinuousClock.now
    guard connection.remote.engine == engine, connection.remote.role == .prefill else {
      throw BatonError(
        .incompatible,
        "expected prefill engine \(engine), found \(connection.remote.role) engine "
          + "\(connection.remote.engine)")
    }
    let remoteModel = try host.requireSameModel(as: connection)
    let id = LinkID.random()
    try host.initialize(link: id, over: connection) { Task { await self.transportLost(id) } }
    let link: Link
    do {
      try await connect(id, over: connection)
      let layout = try PoolLayout(
        geometry: remoteModel.geometry, blockCount: Int(remoteModel.poolBlocks))
      let pool = try PoolMigration(
        backend: host.migration, link: id, peer: engine, remote: layout, destination: host.pool)
      // What comes over the network keeps its thread waiting, and not the other links'.
      link = Link(
        id: id, connection: connection, pool: pool,
        copier: pool.canBorrow ? copier : try WorkerThread(name: "link-copy"))
    } catch {
      host.migration.disconnect(link: id)
      throw error
    }
    host.logger.info(
      "link set up",
      metadata: [
        "link": "\(link.id)", "prefill": "\(engine)", "transport": "\(link.pool.transport)",
        "death_told_by": host.migration.watchesPeer(of: id) ? "liveness word" : "socket",
        "milliseconds": "\((ContinuousClock.now - start).wholeMilliseconds)",
      ])
    return link
  }

  /// Registers our pool and exchanges endpoints; the peer's memory is mapped when this returns.
  private func connect(_ link: LinkID, over connection: ControlConnection) async throws {
    try host.migration.registerMemoryRegion(.destination(host.pool), link: link)
    let open = LinkOpen(link: link, endpoints: [try host.migration.endpointInfo(link: link)])
    let limit = Duration.milliseconds(Limits.linkMilliseconds)
    guard
      case .linkOpened(let opened) = try await connection.request(.linkOpen(open), within: limit)
    else {
      throw BatonError(
        .protocolViolation, "engine \(connection.remote.engine) did not answer with LinkOpened")
    }
    for endpoint in opened.endpoints {
      try await host.migration.connect(link: link, remote: endpoint)
    }
  }

  /// Keeps a link that is set up, and looks after it.
  private func take(_ link: Link) {
    links[link.id] = link
    Task { [id = link.id, connection = link.connection] in
      await connection.waitUntilClosed()
      lose(id)
    }
    let (transport, best) = (link.pool.transport, entries[link.engine]?.bestTransport)
    if best.map({ transport.isPreferred(to: $0) }) ?? true {
      entries[link.engine]?.bestTransport = transport
    }
    if isImpaired(link) { repair(link) }
  }

  /// Whether another link may have a better transport: one that the engine offers or has offered.
  private func isImpaired(_ link: Link) -> Bool {
    let best = entries[link.engine]?.bestTransport
    return link.pool.isImpaired || best?.isPreferred(to: link.pool.transport) ?? false
  }

  /// Lets go of a link whose connection has ended, and so of the peer's memory as far as nothing of
  /// it is borrowed.
  private func lose(_ id: LinkID) {
    guard let link = links.removeValue(forKey: id) else { return }
    repairs.removeValue(forKey: id)?.cancel()
    _ = entries[link.engine]?.machine.on(.lost(id))
    let hasEnded = host.migration.peerHasEnded(link: id)
    host.migration.disconnect(link: id)
    host.logger.warning(
      "link lost",
      metadata: [
        "link": "\(id)", "prefill": "\(link.engine)",
        "process": hasEnded ? "ended" : "unknown",
        "reason": "\(link.connection.closeReason?.message ?? "")",
      ])
    copier.post { withExtendedLifetime(link) {} }
  }

  // MARK: Replacing links

  private func transportLost(_ id: LinkID) {
    if let link = links[id] { repair(link) }
  }

  /// Opens links beside this one, over the same connection, until one takes its place.
  private func repair(_ link: Link) {
    guard repairs[link.id] == nil, entries[link.engine]?.machine == .live(link.id) else { return }
    repairs[link.id] = Task {
      var pause = Duration.milliseconds(Limits.linkRepairMilliseconds)
      while (try? await Task.sleep(for: pause)) != nil, link.isAlive, isImpaired(link) {
        do {
          let other = try await setUp(link.engine, over: link.connection)
          if replace(link, by: other) { break }
          await close(other)
        } catch {
          host.logger.info(
            "link not replaced",
            metadata: [
              "link": "\(link.id)", "prefill": "\(link.engine)",
              "reason": "\(BatonError(wrapping: error).message)",
            ])
        }
        pause = min(pause * 2, .milliseconds(Limits.maximumLinkRepairMilliseconds))
      }
      repairs[link.id] = nil
    }
  }

  /// False if the other link is no better, or the old one is gone.
  private func replace(_ link: Link, by other: Link) -> Bool {
    guard
      link.pool.hasFailed || other.pool.transport.isPreferred(to: link.pool.transport),
      case .use = entries[link.engine]?.machine.on(.replaced(link.id, by: other.id))
    else { return false }
    take(other)
    host.logger.info(
      "link replaced",
      metadata: [
        "link": "\(link.id)", "by": "\(other.id)", "prefill": "\(link.engine)",
        "transport": "\(other.pool.transport)",
      ])
    Task {
      repeat {
        try? await Task.sleep(for: .milliseconds(Limits.linkRetirementMilliseconds))
      } while link.isAlive && leases.hasTickets(on: link.id)
      await close(link)
    }
    return true
  }

  /// Ends a link that is not used, though its connection goes on.
  private func close(_ link: Link) async {
    // Where this fails the connection ends, or prefill has let go of the link.
    _ = try? await link.connection.request(
      .linkClose(LinkClose(link: link.id)), within: .milliseconds(Limits.linkMilliseconds))
    links[link.id] = nil
    host.migration.disconnect(link: link.id)
  }
}
