import BatonRuntime
package import ControlProtocol
package import ControlTransport
package import KVCore
import KVPool
import Logging
package import Migration

extension EngineHost {
  /// Throws `BatonError` with `incompatible` and both values unless the other end runs the same
  /// model with the same KV geometry. Returns what it said of its model.
  @discardableResult
  package func requireSameModel(
    as connection: ControlConnection
  ) throws(BatonError) -> ModelSummary {
    let peer = connection.remote.engine
    guard let theirs = connection.remoteInfo.model else {
      throw BatonError(.incompatible, "engine \(peer) serves no model")
    }
    let ours = summary
    guard theirs.fingerprint == ours.fingerprint else {
      throw BatonError(
        .incompatible,
        "engine \(peer) runs model \(theirs.name) (\(theirs.shortFingerprint)), engine \(id) runs "
          + "\(ours.name) (\(ours.shortFingerprint))")
    }
    guard theirs.geometry == ours.geometry else {
      throw BatonError(
        .incompatible,
        "engine \(peer) has KV geometry \(theirs.geometry); engine \(id) has \(ours.geometry)")
    }
    return theirs
  }
}

extension EngineHost {
  /// Over what this engine's links move blocks. Prefill takes data connections on the hosts of its
  /// control addresses; where there are none, on this machine's loopback.
  static func migrationOptions(
    _ configuration: EngineConfiguration, addresses: [ControlAddress], keys: ClusterKeys?,
    logger: Logger
  ) -> MigrationOptions {
    let advertised = configuration.advertise.compactMap { try? ControlAddress($0).host }
    var hosts: [String] = []
    for host in addresses.compactMap(\.host) where !hosts.contains(host) { hosts.append(host) }
    if hosts.isEmpty { hosts = ["127.0.0.1"] }
    let listeners = hosts.enumerated().map { place, host in
      MigrationOptions.DataListener(
        host: host, port: configuration.migration.dataPort,
        advertisedHost: advertised.isEmpty ? host : advertised[min(place, advertised.count - 1)])
    }
    return MigrationOptions(
      transports: configuration.migration.transports, clusterKeys: keys,
      dataListeners: configuration.role == .prefill ? listeners : [],
      lanes: configuration.migration.lanes, gidIndex: configuration.migration.gidIndex,
      trafficClass: configuration.migration.trafficClass,
      serviceLevel: configuration.migration.serviceLevel,
      progressTimeoutMilliseconds: UInt32(configuration.control.peerTimeoutMilliseconds)
    ) { device, event in
      logger.log(
        level: event.isLoss ? .warning : .info, "RDMA device reports",
        metadata: ["device": "\(device)", "event": "\(event)"])
    }
  }

  /// Pins the pool for devices, where there are any, and says what links can use.
  func prepareTransports() {
    let regions = configuration.role == .prefill ? MemoryRegion.shared(pool) : [.destination(pool)]
    let start = ContinuousClock.now
    for (transport, error) in migration.prepare(regions) {
      logger.warning(
        "transport cannot be used",
        metadata: ["transport": "\(transport)", "reason": "\(error.message)"])
    }
    guard configuration.role != .hybrid, !migration.summaries.isEmpty else { return }
    logger.info(
      "transports ready",
      metadata: [
        "transports": "\(migration.summaries.joined(separator: "; "))",
        "milliseconds": "\((ContinuousClock.now - start).wholeMilliseconds)",
      ])
  }

  /// Lets the peer of a link read `blocks` of the pool under `ticket`; returns by what, where it is
  /// READ by RDMA.
  package func grant(
    _ ticket: TicketID, blocks: [BlockRange], link: LinkID
  ) -> TicketAccess {
    let blockBytes = pool.layout.blockBytes
    let extents = blocks.map { range in
      RegionExtent(
        region: PoolLayout.blocksKey, offset: Int(range.first.rawValue) * blockBytes,
        length: Int(range.count) * blockBytes)
    }
    let access = migration.grant(ticket, extents: extents, link: link)
    if let protection = access.protection { metrics.recordGrant(protection: "\(protection)") }
    return access
  }

  /// Takes `ticket` back, and gives `blocks` back once nothing of them can be read any more.
  ///
  /// - Parameter readerIsDone: decode has given the ticket back, or has never had it.
  package func revoke(_ ticket: TicketID, blocks: [BlockRange], readerIsDone: Bool) {
    migration.revoke(ticket, readerIsDone: readerIsDone) { [reserver] in
      reserver.release(blocks)
    }
  }

  /// A link to the engine at the other end of `connection`, which ends with it.
  ///
  /// - Parameter onTransportLost: called when a transport fails that was in use; must not block.
  ///
  /// Throws as `MigrationBackend.initialize` does.
  package func initialize(
    link: LinkID, over connection: ControlConnection,
    onTransportLost: @escaping @Sendable () -> Void = {}
  ) throws(BatonError) {
    let (logger, remote) = (logger, connection.remote.engine)
    try migration.initialize(
      link: link, remote: remote, remoteIncarnation: connection.remote.incarnation,
      onPeerDeath: connection.abandonForDeath
    ) { transport, error, wasInUse in
      let metadata: Logger.Metadata = [
        "link": "\(link)", "engine": "\(remote)", "transport": "\(transport)",
        "reason": "\(error.message)",
      ]
      if wasInUse {
        logger.warning("transport failed", metadata: metadata)
        onTransportLost()
      } else {
        logger.info("transport cannot be used", metadata: metadata)
      }
    }
  }
}

extension ControlConnection {
  /// What a link's transport calls when it learns that the process at the other end has died: the
  /// connection, and with it the link, ends at once.
  package var abandonForDeath: @Sendable () -> Void {
    {
      self.abandon(
        because: BatonError(
          .peerGone, "the process of \(self.remote.engine) has ended, as its liveness word tells"))
    }
  }
}
