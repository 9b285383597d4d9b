import ControlProtocol
import ControlTransport
import EngineHost
import KVCore
import KVPool
import Logging
import Migration
import Synchronization

/// Prefill's ends of its links, by the control connection that they live and end with.
final class LinkRegistry: Sendable {
  private struct State {
    var links: [ObjectIdentifier: Set<LinkID>] = [:]
    var connections: [LinkID: ControlConnection] = [:]
  }

  private let host: EngineHost
  private let state = Mutex(State())

  init(host: EngineHost) { self.host = host }

  /// Sets up our end of a link and says how our pool is reached.
  ///
  /// Throws `BatonError`: `incompatible` with both values when the other end runs another model or
  /// geometry, `invalidArgument` when it offers memory, `resourceExhausted` for more links than a
  /// connection may have, and what the transports throw.
  func open(_ open: LinkOpen, for connection: ControlConnection) async throws -> EndpointInfo {
    try host.requireSameModel(as: connection)
    let offered = open.endpoints.flatMap { endpoint in
      [endpoint.sharedMemory?.socketName ?? ""] + (endpoint.tcp?.addresses ?? [])
    }
    if let offered = offered.first(where: { !$0.isEmpty }) {
      // Nothing of decode's is read here, and nobody is to choose what this process connects to.
      throw BatonError(
        .invalidArgument, "LinkOpen offers memory at \(offered); a decode engine offers none")
    }
    let count = state.withLock { $0.links[ObjectIdentifier(connection)]?.count ?? 0 }
    guard count < Limits.maximumLinksPerConnection else {
      throw BatonError(
        .resourceExhausted, "\(count) links are open on this connection, no more are taken")
    }
    try host.initialize(link: open.link, over: connection)
    do {
      for region in MemoryRegion.shared(host.pool) {
        try host.migration.registerMemoryRegion(region, link: open.link)
      }
      for remote in open.endpoints {
        try await host.migration.connect(link: open.link, remote: remote)
      }
      let endpoint = try host.migration.endpointInfo(link: open.link)
      state.withLock { state in
        state.links[ObjectIdentifier(connection), default: []].insert(open.link)
        state.connections[open.link] = connection
      }
      // A connection that ended meanwhile has found nothing to close.
      if !connection.isOpen { close(of: connection) }
      host.logger.info(
        "link opened",
        metadata: ["link": "\(open.link)", "decode": "\(connection.remote.engine)"])
      return endpoint
    } catch {
      host.migration.disconnect(link: open.link)
      throw error
    }
  }

  /// Whether the link was opened on this connection.
  func contains(_ link: LinkID, of connection: ControlConnection) -> Bool {
    state.withLock { $0.links[ObjectIdentifier(connection)]?.contains(link) ?? false }
  }

  /// Asks the decode engine at the other end of a link to take over what it reads in place. Does
  /// not wait; that it has, its releases tell. `onFailure` is called if it was not reached.
  func recall(
    _ tickets: [TicketID], over link: LinkID, onFailure: @escaping @Sendable () -> Void
  ) {
    guard let connection = state.withLock({ $0.connections[link] }) else { return }
    let message = Message.leaseRecall(LeaseTickets(tickets: tickets))
    // Bounded by the request's deadline and by the connection's end.
    Task { [logger = host.logger] in
      do {
        _ = try await connection.request(
          message, within: .milliseconds(Limits.recallMilliseconds))
      } catch {
        guard connection.isOpen else { return }
        onFailure()
        logger.warning(
          "recall refused",
          metadata: ["decode": "\(connection.remote.engine)", "error": "\(error)"])
      }
    }
  }

  /// Closes our end of a link that decode uses no more; false if it was not opened on this
  /// connection.
  func close(_ link: LinkID, of connection: ControlConnection) -> Bool {
    let isKnown = state.withLock { state in
      guard state.links[ObjectIdentifier(connection)]?.remove(link) != nil else { return false }
      state.connections[link] = nil
      return true
    }
    if isKnown { end(link, of: connection, because: "decode has another") }
    return isKnown
  }

  /// Closes our ends of the links of a connection that has ended; returns which those are.
  @discardableResult
  func close(of connection: ControlConnection) -> Set<LinkID> {
    let closed = state.withLock { state in
      let closed = state.links.removeValue(forKey: ObjectIdentifier(connection)) ?? []
      for link in closed { state.connections[link] = nil }
      return closed
    }
    for link in closed {
      end(link, of: connection, because: connection.closeReason?.message ?? "")
    }
    return closed
  }

  private func end(_ link: LinkID, of connection: ControlConnection, because reason: String) {
    let hasEnded = host.migration.peerHasEnded(link: link)
    host.migration.disconnect(link: link)
    host.logger.info(
      "link closed",
      metadata: [
        "link": "\(link)", "decode": "\(connection.remote.engine)",
        "process": hasEnded ? "ended" : "unknown", "reason": "\(reason)",
      ])
  }
}
