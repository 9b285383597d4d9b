package import KVCore
package import KVPool

/// Brings blocks of a peer's KV pool over one link, verified by their stamps and checksums where
/// the memory is mapped, and by the peer's grant and the checksums where it is not.
///
/// It can do so for as long as it exists, though the link and the peer may end. Copying blocks its
/// thread and belongs on one that may wait; borrowing does not.
package struct PoolMigration: Sendable {
  private let connection: LinkConnection
  private let source: SourceBlocks.Pool
  /// The peer's pool in this process; nil where it cannot be mapped.
  private let mapped: PeerPool?
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
    let connection = try backend.connection(of: link)
    for expected in remote.regions {
      let length = connection.regions[expected.key]
      let offset = connection.mappedRegion(expected.key)?.offset ?? expected.offset
      guard length == expected.length, offset == expected.offset else {
        throw BatonError(
          .incompatible,
          "region \(expected.key) of \(peer) has \(length?.rawValue ?? 0) bytes at "
            + "\(offset.rawValue); \(remote.blockCount) blocks need "
            + "\(expected.length.rawValue) at \(expected.offset.rawValue)")
      }
    }
    mapped = try connection.mappedRegion(PoolLayout.blocksKey).map { (blocks) throws(BatonError) in
      try PeerPool(memory: blocks.memory, layout: remote, peer: peer)
    }
    self.connection = connection
    source = SourceBlocks.Pool(remote, of: peer)
    self.destination = destination
  }

  /// Whether the peer's blocks can be used where they are.
  package var canBorrow: Bool { mapped != nil }
  /// What blocks that are copied now come over.
  package var transport: TransportKind { connection.kind }

  /// Whether a transport that both sides have could not be used over this link, or has failed;
  /// another link may have it.
  package var isImpaired: Bool { connection.isImpaired }
  /// Whether all of them have failed.
  package var hasFailed: Bool { connection.hasFailed }

  /// Copies the peer's blocks `sources` to `targets`, in order.
  ///
  /// - Parameters:
  ///   - sources: of the ticket, as far as they are final.
  ///   - stamps: the final stamps of `sources`.
  ///   - checksums: the XXH3 checksums of `sources`, computed while the bytes are copied; empty to
  ///     trust the memory and verify the stamps alone.
  ///   - targets: allocated from this engine's pool; as many blocks as `sources`.
  ///   - grant: what the peer has granted to this link; mapped memory needs none.
  ///   - cancellation: ends a copy between nodes early, with `cancelled`.
  ///
  /// When it returns, every byte is the one that the stamps stand for. Throws `staleBlock`, naming
  /// the block, if one has been reused, and `checksumMismatch`, with the block and both checksums,
  /// if one has not and holds other bytes; `leaseExpired` if the peer grants the ticket no longer;
  /// and what the last transport fails with: `targets` then hold nothing of use.
  package func copy(
    _ sources: [BlockRange], stamps: [UInt64], checksums: [UInt64] = [], to targets: [BlockRange],
    under grant: ReadGrant? = nil, cancellation: MigrationCancellation? = nil
  ) throws(BatonError) -> MigrationOutcome {
    let blocks = try SourceBlocks(
      of: source, blocks: sources, stamps: stamps, checksums: checksums)
    if let mapped { try blocks.verifyStamps(in: mapped) }
    let plan = try blocks.plan(stamps.indices, to: targets, in: destination)
    // The plan has addresses only.
    defer { withExtendedLifetime(destination) {} }
    let mismatch = try connection.read(plan, under: grant, cancellation: cancellation)
    // A block that was reused explains a checksum, so stamps come first.
    if let mapped { try blocks.verifyStamps(in: mapped) }
    if let mismatch { throw blocks.checksumMismatch(mismatch) }
    return plan.outcome
  }

  /// The peer's blocks in place, found final just now. Parameters and errors are those of `copy`,
  /// but for the checksums: those are kept for `BorrowedBlocks.copyHome`; and `unimplemented` where
  /// they cannot be mapped.
  package func borrow(
    _ sources: [BlockRange], stamps: [UInt64], checksums: [UInt64] = []
  ) throws(BatonError) -> BorrowedBlocks {
    guard let mapped else {
      throw BatonError(
        .unimplemented, "blocks of \(source.peer) cannot be mapped over \(connection.kind)")
    }
    let blocks = try SourceBlocks(
      of: source, blocks: sources, stamps: stamps, checksums: checksums)
    try blocks.verifyStamps(in: mapped)
    return BorrowedBlocks(source: blocks, pool: mapped)
  }
}
