import Glibc
import Platform
import Testing

@Suite("Routes")
struct RouteTests {
  private static let loopback =
    [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF, 127, 0, 0, 1]

  @Test("Packets to this node are sent from the address that they go to")
  func source() {
    #expect(Route.source(toward: Self.loopback) == Self.loopback)
    // Broadcast, for which a socket must ask first (socket(7), SO_BROADCAST).
    let none = Self.loopback[..<12] + [255, 255, 255, 255]
    #expect(Route.source(toward: Array(none)) == nil)
  }

  @Test("The prefix of an address comes from the netmask of the interface that has it")
  func prefix() {
    let interface = unsafe if_nametoindex("lo")
    #expect(Route.prefixBits(of: Self.loopback, interface: interface) == 96 + 8)
    let other = Array(Self.loopback[..<12]) + [127, 0, 0, 2]
    #expect(Route.prefixBits(of: other, interface: interface) == nil)
    #expect(Route.prefixBits(of: Self.loopback, interface: .max) == nil)
  }
}
