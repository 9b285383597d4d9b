package import KVCore
package import KVPool

/// Brings blocks of a peer's KV pool over one link, verified by their stamps and checksums.
///
/// It can do so for as long as it exists, though the link and the peer may end. Copying blocks its
/// thread and belongs on one that may wait; borrowing does not.
package struct PoolMigration: Sendable {
  private let connection: any TransportConnection
  private let peer: EngineID
  private let source: PeerPool
  private let destination: KVPool

  /// - Parameters:
  ///   - link: connected now; the peer has registered `MemoryRegion.shared` of its pool, this side
  ///     `MemoryRegion.destination` of `destination`.
  ///   - remote: of the geometry and block count that the peer told in the handshake.
  ///   - destination: this engine's pool.
  ///
  /// Throws `incompatible`, with both values, if the pools cannot exchange blocks or the peer's
  /// regions are not those of its pool, and as `MigrationBackend.remoteRegion` does.
  package init(
    backend: MigrationBackend, link: LinkID, peer: EngineID, remote: PoolLayout,
    destination: KVPool
  ) throws(BatonError) {
    guard remote.geometry == destination.geometry else {
      throw BatonError(
        .incompatible,
        "KV geometry of \(peer) is \(remote.geometry), here it is \(destination.geometry)")
    }
    let blocks = try backend.remoteRegion(link: link, key: PoolLayout.blocksKey)
    for expected in remote.regions {
      let region = try backend.remoteRegion(link: link, key: expected.key)
      guard region.offset == expected.offset, region.length == expected.length else {
        throw BatonError(
          .incompatible,
          "region \(expected.key) of \(peer) has \(region.length.rawValue) bytes at "
            + "\(region.offset.rawValue); \(remote.blockCount) blocks need "
            + "\(expected.length.rawValue) at \(expected.offset.rawValue)")
      }
    }
    source = try PeerPool(memory: blocks.memory, layout: remote, peer: peer)
    connection = try backend.connection(of: link)
    self.peer = peer
    self.destination = destination
  }

  /// Copies the peer's blocks `sources` to `targets`, in order.
  ///
  /// - Parameters:
  ///   - sources: of the ticket, as far as they are final.
  ///   - stamps: the final stamps of `sources`.
  ///   - checksums: the XXH3 checksums of `sources`, computed while the bytes are copied; empty to
  ///     trust the memory and verify the stamps alone.
  ///   - targets: allocated from this engine's pool; as many blocks as `sources`.
  ///
  /// When it returns, every byte is the one that the stamps stand for. Throws `staleBlock`, naming
  /// the block, if one has been reused, and `checksumMismatch`, with the block and both checksums,
  /// if one has not and holds other bytes: `targets` then hold nothing of use.
  package func copy(
    _ sources: [BlockRange], stamps: [UInt64], checksums: [UInt64] = [], to targets: [BlockRange]
  ) throws(BatonError) -> MigrationOutcome {
    let borrowed = try borrow(sources, stamps: stamps, checksums: checksums)
    let plan = try borrowed.plan(borrowed.stamps.indices, to: targets, in: destination)
    // The plan has addresses only.
    defer { withExtendedLifetime(destination) {} }
    let mismatch = try connection.read(plan)
    try borrowed.verify(borrowed.stamps.indices, mismatch: mismatch)
    return plan.outcome
  }

  /// The peer's blocks in place, found final just now. Parameters and errors are those of `copy`,
  /// but for the checksums: those are kept for `BorrowedBlocks.copyHome`.
  package func borrow(
    _ sources: [BlockRange], stamps: [UInt64], checksums: [UInt64] = []
  ) throws(BatonError) -> BorrowedBlocks {
    let borrowed = try BorrowedBlocks(
      pool: source, peer: peer, blocks: sources, stamps: stamps, checksums: checksums)
    if let position = borrowed.firstStale() { throw borrowed.staleBlock(at: position) }
    return borrowed
  }
}
