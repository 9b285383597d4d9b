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
  private let host: EngineHost
  private let links = Mutex<[ObjectIdentifier: Set<LinkID>]>([:])

  init(host: EngineHost) { self.host = host }

  /// Sets up our end of a link and says how our pool is reached.
  ///
  /// Throws `BatonError`: `incompatible` with both values when the other end runs another model or
  /// geometry, and what the transports throw.
  func open(_ open: LinkOpen, for connection: ControlConnection) async throws -> EndpointInfo {
    try host.requireSameModel(as: connection)
    try host.migration.initialize(
      link: open.link, remote: connection.remote.engine,
      remoteIncarnation: connection.remote.incarnation, onPeerDeath: connection.abandonForDeath)
    do {
      for region in MemoryRegion.shared(host.pool) {
        try host.migration.registerMemoryRegion(region, link: open.link)
      }
      let endpoint = try host.migration.endpointInfo(link: open.link)
      for remote in open.endpoints {
        try await host.migration.connect(link: open.link, remote: remote)
      }
      links.withLock { _ = $0[ObjectIdentifier(connection), default: []].insert(open.link) }
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
    links.withLock { $0[ObjectIdentifier(connection)]?.contains(link) ?? false }
  }

  /// Closes our ends of the links of a connection that has ended; returns which those are.
  @discardableResult
  func close(of connection: ControlConnection) -> Set<LinkID> {
    let closed = links.withLock { $0.removeValue(forKey: ObjectIdentifier(connection)) } ?? []
    for link in closed {
      host.migration.disconnect(link: link)
      host.logger.info(
        "link closed",
        metadata: [
          "link": "\(link)", "decode": "\(connection.remote.engine)",
          "reason": "\(connection.closeReason?.message ?? "")",
        ])
    }
    return closed
  }
}
