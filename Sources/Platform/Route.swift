import CLinux

/// What this node knows of the way to addresses: 16 bytes each, those of IPv4 as `::ffff:a.b.c.d`
/// (RFC 4291, 2.5.5.2).
package enum Route {
  /// The address that packets to `peer` are sent from, by the routing table. Nil where no route
  /// leads there.
  package static func source(toward peer: [UInt8]) -> [UInt8]? {
    precondition(peer.count == 16, "an address has 16 bytes")
    var source = [UInt8](repeating: 0, count: 16)
    return unsafe clinux_route_source(peer, &source) == 0 ? source : nil
  }

  /// How many of the first bits of `address` the others of its subnet have too, by the netmask of
  /// the network interface that has it. Nil where the interface has not.
  ///
  /// - Parameter interface: by its number, as in if_nametoindex(3).
  package static func prefixBits(of address: [UInt8], interface: UInt32) -> Int? {
    precondition(address.count == 16, "an address has 16 bytes")
    let bits = unsafe clinux_prefix_bits(address, interface)
    return bits >= 0 ? Int(bits) : nil
  }
}
