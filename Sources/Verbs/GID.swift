/// By which a port is reached on a network with routes: 16 bytes, on Ethernet an IP address.
package struct GID: Hashable, Sendable, CustomStringConvertible {
  /// How packets to it look (enum ibv_gid_type). The raw values are those of `baton.v1.RDMAGID`.
  package enum Kind: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    case infiniBand = 0
    case roceV1 = 1
    case roceV2 = 2

    package var description: String {
      switch self {
      case .infiniBand: "InfiniBand"
      case .roceV1: "RoCE v1"
      case .roceV2: "RoCE v2"
      }
    }
  }

  package static let byteCount = 16

  /// Its place in the port's table.
  package let index: UInt8
  package let bytes: [UInt8]
  package let kind: Kind

  package init(index: UInt8, bytes: [UInt8], kind: Kind) {
    precondition(bytes.count == Self.byteCount, "a GID has 16 bytes")
    self.index = index
    self.bytes = bytes
    self.kind = kind
  }

  /// `::ffff:a.b.c.d` (RFC 4291, 2.5.5.2).
  package var isIPv4: Bool {
    bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
  }

  /// `fe80::/10` (RFC 4291, 2.5.6): good on one network only.
  package var isLinkLocal: Bool { bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80 }

  package var description: String {
    let address =
      isIPv4
      ? bytes[12...].map(String.init).joined(separator: ".")
      : stride(from: 0, to: Self.byteCount, by: 2)
        .map { String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16) }
        .joined(separator: ":")
    return "\(address) (\(kind), index \(index))"
  }

  /// The pair by which two ports reach each other best.
  ///
  /// Both must be of one kind and one family. RoCE v2 is routed and comes before v1; an IPv4
  /// address, which somebody has configured, before an IPv6 one, and both before link-local ones;
  /// of those that are left the pair that has the longest common prefix, as on one subnet (RFC
  /// 6724, rule 8).
  ///
  /// - Parameters:
  ///   - own, peer: GIDs of one port each.
  ///   - forced: the index in `own` that must be taken; nil for any.
  package static func bestPair(
    own: [GID], peer: [GID], forced: UInt8? = nil
  ) -> (own: GID, peer: GID)? {
    var best: (own: GID, peer: GID, rank: [Int])?
    for one in own where forced == nil || one.index == forced {
      for other in peer
      where one.kind == other.kind && one.isIPv4 == other.isIPv4
        && one.isLinkLocal == other.isLinkLocal
      {
        let rank = [
          one.kind == .roceV1 ? 0 : 1, one.isIPv4 ? 1 : 0, one.isLinkLocal ? 0 : 1,
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
