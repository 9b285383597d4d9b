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
  /// How many of its first bits the addresses of its subnet share, where that is known.
  package let prefixBits: Int?

  package init(index: UInt8, bytes: [UInt8], kind: Kind, prefixBits: Int? = nil) {
    precondition(bytes.count == Self.byteCount, "a GID has 16 bytes")
    self.index = index
    self.bytes = bytes
    self.kind = kind
    self.prefixBits = prefixBits
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
}
