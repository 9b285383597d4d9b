import Testing
import Verbs

@Suite("GIDs")
struct GIDTests {
  private static func ipv4(
    _ index: UInt8, _ last: [UInt8], _ kind: GID.Kind = .roceV2, bits: Int? = nil
  ) -> GID {
    GID(
      index: index, bytes: [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF] + last, kind: kind,
      prefixBits: bits.map { 96 + $0 })
  }

  private static func ipv6(
    _ index: UInt8, _ first: UInt8, _ last: UInt8, _ kind: GID.Kind = .roceV2
  ) -> GID {
    GID(
      index: index,
      bytes: [first, first == 0xFE ? 0x80 : 0] + Array(repeating: 0, count: 13) + [last],
      kind: kind)
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
      GID.bestPair(own: one, peer: other, forced: forced, source: { _ in nil })
        .map { [$0.own.index, $0.peer.index] }
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
    let pair = try #require(GID.bestPair(own: own, peer: peer, source: { _ in nil }))
    #expect([pair.own.index, pair.peer.index] == [5, 6])
  }

  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    var own = GIDTests.table
    let peer: [GID]
    /// By the last byte of the peer's address, the index of the own GID that is sent from.
    var routes: [UInt8: UInt8] = [:]
    let expected: [UInt8]?
  }

  /// As the table of a RoCE port with two addresses usually is.
  private static let table = [
    ipv6(0, 0xFE, 1, .roceV1), ipv6(1, 0xFE, 1), ipv4(2, [10, 0, 0, 1], .roceV1, bits: 24),
    ipv4(3, [10, 0, 0, 1], bits: 24), ipv4(4, [192, 168, 0, 1], .roceV1, bits: 24),
    ipv4(5, [192, 168, 0, 1], bits: 24), ipv6(6, 0x20, 1),
  ]
  private static let near = ipv4(10, [10, 0, 0, 2])
  private static let far = ipv4(11, [172, 16, 0, 9])

  static let cases = [
    Case(
      testDescription: "the route is taken where the prefix says something else", peer: [far],
      routes: [9: 3], expected: [3, 11]),
    Case(
      testDescription: "the route comes before the subnet", peer: [near, far], routes: [9: 5],
      expected: [5, 11]),
    Case(
      testDescription: "without a route the subnet comes before a router", peer: [far, near],
      expected: [3, 10]),
    Case(
      testDescription: "a route over another device says nothing, and the subnet decides",
      peer: [far, near], routes: [2: 99, 9: 99], expected: [3, 10]),
    Case(
      testDescription: "version 2 behind a router comes before version 1 on the subnet",
      peer: [ipv4(12, [10, 0, 0, 2], .roceV1), far], expected: [5, 11]),
    Case(
      testDescription: "version 1 stays on its subnet",
      peer: [ipv4(12, [10, 0, 0, 2], .roceV1), ipv4(13, [172, 16, 0, 9], .roceV1)],
      expected: [2, 12]),
    Case(
      testDescription: "version 1 goes to no other subnet",
      peer: [ipv4(13, [172, 16, 0, 9], .roceV1)], expected: nil),
    Case(
      testDescription: "link-local addresses come last, behind routers",
      peer: [ipv6(14, 0xFE, 2), far], expected: [5, 11]),
    Case(
      testDescription: "InfiniBand prefers its own subnet, whatever that is",
      own: [ipv6(0, 0xFE, 1, .infiniBand)],
      peer: [ipv6(15, 0x20, 2, .infiniBand), ipv6(16, 0xFE, 2, .infiniBand)], expected: [0, 16]),
  ]

  @Test("What is known about the way decides", arguments: cases)
  func way(_ test: Case) {
    let pair = GID.bestPair(own: test.own, peer: test.peer) { peer in
      test.routes[peer.bytes[15]].map { index in
        test.own.first { $0.index == index }?.bytes ?? [UInt8](repeating: 7, count: 16)
      }
    }
    #expect(pair.map { [$0.own.index, $0.peer.index] } == test.expected)
  }

  @Test("A route is asked for once for each GID of the peer, and only for RoCE v2")
  func routesAsked() {
    var asked: [UInt8] = []
    let peer = [Self.near, Self.far, Self.ipv4(12, [10, 0, 0, 2], .roceV1)]
    _ = GID.bestPair(own: Self.table, peer: peer) { gid in
      asked.append(gid.index)
      return nil
    }
    #expect(asked == [10, 11])
  }

  @Test("The routing table answers: loopback is reached from loopback")
  func route() {
    let loopback = Self.ipv4(0, [127, 0, 0, 1])
    #expect(GID.routeSource(toward: loopback) == loopback.bytes)
    #expect(GID.routeSource(toward: Self.ipv6(0, 0xFE, 1)) == nil)
  }

  @Test("A GID is shown as the address that it is")
  func description() {
    #expect(Self.ipv4(2, [10, 0, 0, 1]).description == "10.0.0.1 (RoCE v2, index 2)")
    #expect(Self.ipv6(0, 0xFE, 1).description == "fe80:0:0:0:0:0:0:1 (RoCE v2, index 0)")
    #expect(Self.ipv6(0, 0xFE, 1).isLinkLocal && !Self.ipv4(0, [1, 2, 3, 4]).isLinkLocal)
  }
}
