import Testing
import Verbs

@Suite("GIDs")
struct GIDTests {
  private static func ipv4(_ index: UInt8, _ last: [UInt8], _ kind: GID.Kind = .roceV2) -> GID {
    GID(index: index, bytes: [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF] + last, kind: kind)
  }

  private static func ipv6(_ index: UInt8, _ first: UInt8, _ last: UInt8) -> GID {
    GID(
      index: index,
      bytes: [first, first == 0xFE ? 0x80 : 0] + Array(repeating: 0, count: 13) + [last],
      kind: .roceV2)
  }

  @Test("The pair is of one kind and family: v2 before v1, IPv4 before IPv6, link-local last")
  func preference() throws {
    let own = [
      Self.ipv6(0, 0xFE, 1), Self.ipv4(1, [10, 0, 0, 1], .roceV1), Self.ipv4(2, [10, 0, 0, 1]),
      Self.ipv6(3, 0x20, 1),
    ]
    let peer = [
      Self.ipv6(0, 0xFE, 2), Self.ipv4(1, [10, 0, 0, 2], .roceV1), Self.ipv4(2, [10, 0, 0, 2]),
      Self.ipv6(3, 0x20, 2),
    ]
    func indices(_ one: [GID], _ other: [GID], forced: UInt8? = nil) -> [UInt8]? {
      GID.bestPair(own: one, peer: other, forced: forced).map { [$0.own.index, $0.peer.index] }
    }
    #expect(indices(own, peer) == [2, 2])
    #expect(indices([own[0], own[3]], peer) == [3, 3])
    #expect(indices([own[0]], peer) == [0, 0])
    #expect(indices([own[1]], peer) == [1, 1])
    #expect(indices([own[1]], [peer[2]]) == nil)
    #expect(indices([own[0]], [peer[3]]) == nil)
    #expect(indices(own, peer, forced: 1) == [1, 1])
    #expect(indices(own, peer, forced: 0) == [0, 0])
    #expect(indices(own, peer, forced: 9) == nil)
    #expect(indices([], peer) == nil)
  }

  @Test("Of several addresses the one on the peer's subnet is taken")
  func subnet() throws {
    let own = [Self.ipv4(4, [192, 168, 1, 1]), Self.ipv4(5, [10, 7, 3, 1])]
    let peer = [Self.ipv4(6, [10, 7, 3, 2]), Self.ipv4(7, [172, 16, 0, 1])]
    let pair = try #require(GID.bestPair(own: own, peer: peer))
    #expect([pair.own.index, pair.peer.index] == [5, 6])
  }

  @Test("A GID is shown as the address that it is")
  func description() {
    #expect(Self.ipv4(2, [10, 0, 0, 1]).description == "10.0.0.1 (RoCE v2, index 2)")
    #expect(Self.ipv6(0, 0xFE, 1).description == "fe80:0:0:0:0:0:0:1 (RoCE v2, index 0)")
    #expect(Self.ipv6(0, 0xFE, 1).isLinkLocal && !Self.ipv4(0, [1, 2, 3, 4]).isLinkLocal)
  }
}
