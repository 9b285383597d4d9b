import Platform

extension GID {
  /// How near the peer's port is by one pair of GIDs, the farthest first.
  private enum Nearness: Int {
    /// Both are good on one network only, and nothing says that it is the same one.
    case link
    /// A router may lead there.
    case routed
    case subnet
    /// The routing table sends from this very address.
    case route
  }

  /// The pair by which two ports reach each other best.
  ///
  /// Both must be of one kind and one family. RoCE v2 is routed and comes before v1; then the pair
  /// whose own address is the one that the routing table sends from to the peer's; then one of one
  /// subnet; then others; link-local ones, which nobody has configured, come last. Of those that
  /// are equal so far an IPv4 one is taken, and then the one that has the longest common prefix
  /// (RFC 6724, rule 8).
  ///
  /// - Parameters:
  ///   - own, peer: GIDs of one port each.
  ///   - forced: the index in `own` that must be taken; nil for any.
  ///   - source: the address that this node sends from to a GID of RoCE v2; nil where no route
  ///     leads there.
  package static func bestPair(
    own: [GID], peer: [GID], forced: UInt8? = nil,
    source: (GID) -> [UInt8]? = GID.routeSource
  ) -> (own: GID, peer: GID)? {
    var best: (own: GID, peer: GID, rank: [Int])?
    for other in peer {
      let usable = own.filter { $0.kind == other.kind && (forced == nil || $0.index == forced) }
      // No router forwards RoCE v1, and an InfiniBand subnet has no routing table here.
      let from = other.kind == .roceV2 && !usable.isEmpty ? source(other) : nil
      for one in usable {
        guard let nearness = nearness(one, other, source: from) else { continue }
        let rank = [
          one.kind == .roceV1 ? 0 : 1, nearness.rawValue, one.isIPv4 ? 1 : 0,
          commonPrefixBits(one, other),
        ]
        guard let current = best, !current.rank.lexicographicallyPrecedes(rank) else {
          best = (one, other, rank)
          continue
        }
      }
    }
    return best.map { ($0.own, $0.peer) }
  }

  /// The address that this node sends from to `peer`; nil where no route leads there, or the
  /// address alone does not say which network is meant.
  package static func routeSource(toward peer: GID) -> [UInt8]? {
    peer.isLinkLocal ? nil : Route.source(toward: peer.bytes)
  }

  /// Nil where nothing connects the two.
  private static func nearness(_ own: GID, _ peer: GID, source: [UInt8]?) -> Nearness? {
    if own.kind == .infiniBand {
      // The first half names the subnet.
      return own.bytes[..<8] == peer.bytes[..<8] ? .subnet : .routed
    }
    guard own.isIPv4 == peer.isIPv4, own.isLinkLocal == peer.isLinkLocal else { return nil }
    if own.isLinkLocal { return .link }
    if own.bytes == source { return .route }
    if let bits = own.prefixBits, commonPrefixBits(own, peer) >= bits { return .subnet }
    // Where the subnet of a RoCE v1 address is not known, it may be the peer's, too.
    return own.kind == .roceV1 && own.prefixBits != nil ? nil : .routed
  }

  private static func commonPrefixBits(_ one: GID, _ other: GID) -> Int {
    var bits = 0
    for (left, right) in zip(one.bytes, other.bytes) {
      let difference = left ^ right
      bits += difference.leadingZeroBitCount
      if difference != 0 { break }
    }
    return bits
  }
}
