import ControlProtocol
import KVCore

/// Reads a peer's memory over data connections, which the reader opens and the owner serves.
final class TCPTransport: Transport {
  let kind = TransportKind.tcp
  private let options: MigrationOptions
  /// Nil where no data connections are accepted: then this engine only reads.
  private let server: DataServer?
  private let grants = GrantTable()

  /// Throws `unavailable` for an address that cannot be served, `resourceExhausted` if the system
  /// gives no more descriptors or threads.
  init(options: MigrationOptions) throws(BatonError) {
    self.options = options
    server =
      options.dataListeners.isEmpty ? nil : try DataServer(options: options, grants: grants)
  }

  var summary: String? {
    server.map { "tcp: data connections at \($0.advertisedAddresses.joined(separator: ", "))" }
  }

  func offer(
    link: LinkID, peer: LinkPeer, regions: [MemoryRegion], in info: inout EndpointInfo
  ) throws(BatonError) {
    let shared = regions.filter { $0.sourceAddress != nil }
    guard !shared.isEmpty else {
      info.tcp = .nothing
      return
    }
    guard let server else { return }
    let salt = DataHandshake.randomBytes(DataKeys.saltBytes)
    server.offer(
      link, keys: DataKeys(clusterKeys: options.clusterKeys, salt: salt, link: link),
      regions: shared)
    info.tcp = TCPEndpoint(
      addresses: server.advertisedAddresses, salt: salt, regions: shared.map(\.info))
  }

  func connect(
    link: LinkID, peer: LinkPeer, remote: EndpointInfo
  ) throws(BatonError) -> any TransportConnection {
    guard let endpoint = remote.tcp else {
      throw BatonError(.invalidArgument, "\(peer.engine) offers no data connections")
    }
    return try TCPConnection(
      link: link, peer: peer, endpoint: endpoint,
      keys: DataKeys(clusterKeys: options.clusterKeys, salt: endpoint.salt, link: link),
      options: options)
  }

  func grant(_ ticket: TicketID, extents: [RegionExtent], link: LinkID) -> TicketAccess {
    grants.grant(ticket, extents: extents, link: link)
    return TicketAccess()
  }

  func revoke(
    _ ticket: TicketID, readerIsDone: Bool, whenQuiet: @escaping @Sendable () -> Void
  ) {
    // Whatever the reader has said, a request of its may be under way.
    grants.revoke(ticket, whenQuiet: whenQuiet)
  }

  func withdraw(link: LinkID) { server?.end(link) }

  func end(link: LinkID) {
    grants.remove(link: link)
    server?.end(link)
  }

  func close() { server?.close() }
}
