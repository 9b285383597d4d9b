import Foundation
import KVCore
import KVPool
import Migration
import Synchronization
import TestSupport
import Testing
import Verbs

/// The lab's tests run one after the other, so for a while there can be a second device.
@Suite(
  "Several RDMA devices", .serialized, .timeLimit(.minutes(2)),
  .enabled(if: RDMALab.isHere, "devices are made in the lab only"))
struct RDMADevicesTests {
  /// Soft-RoCE on an interface of its own, with a subnet of its own; gone at the end.
  private final class SecondDevice {
    static let interface = "dummy9"
    static let name = "rxe9"

    init() throws {
      try RDMALab.run("ip", "link", "add", Self.interface, "type", "dummy")
      try RDMALab.run("ip", "address", "add", "10.78.0.1/24", "dev", Self.interface)
      try RDMALab.run("ip", "link", "set", Self.interface, "mtu", "4200", "up")
      try RDMALab.run(
        "rdma", "link", "add", Self.name, "type", "rxe", "netdev", Self.interface)
    }

    deinit {
      try? RDMALab.run("rdma", "link", "delete", Self.name)
      try? RDMALab.run("ip", "link", "delete", Self.interface)
    }
  }

  /// Packets that have come to a device.
  private static func packets(_ device: String) throws -> Int {
    let path = "/sys/class/infiniband/\(device)/ports/1/hw_counters/rcvd_pkts"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    return try #require(Int(text.trimmingCharacters(in: .whitespacesAndNewlines)))
  }

  @Test(
    "Queue pairs of one link are spread over them, and each reads its part", arguments: [32, 1_024])
  func striped(blocks: Int) async throws {
    let second = try SecondDevice()
    defer { withExtendedLifetime(second) {} }
    let pair = try await RemotePair(blocks: blocks, lanes: 4, transports: [.rdma])
    let migration = try await pair.connect()
    // Which devices the owner works with.
    #expect(pair.prefill.backend.summaries.contains { $0.contains(SecondDevice.name) })
    let all = try pair.source.allocate(blocks: blocks).flatMap(\.blocks)
    let targets = try pair.destination.allocate(blocks: blocks)
    // No two follow each other, so each is a READ: fewer and more than one queue pair has room for.
    let sources = (all.indices.filter { $0 % 2 == 0 } + all.indices.filter { $0 % 2 == 1 })
      .map { BlockRange(first: all[$0], count: 1) }
    let (stamps, checksums) = pair.write(sources)
    let grant = pair.grant(sources)
    let before = try ["rxe0", SecondDevice.name].map(Self.packets)
    var after = before
    // A device's counters are some milliseconds old.
    repeat {
      try Task.checkCancellation()
      _ = try migration.copy(
        sources, stamps: stamps, checksums: checksums, to: targets, under: grant)
      after = try ["rxe0", SecondDevice.name].map(Self.packets)
    } while zip(before, after).contains { $1 - $0 < blocks / 8 }
    #expect(pair.holds(targets, of: sources))
    #expect(pair.told.all == [])
  }

  @Test("A port that goes down and comes up again is used by the next link")
  func portDown() async throws {
    let pair = try await RemotePair(blocks: 8, geometry: largeGeometry, transports: [.rdma, .tcp])
    let migration = try await pair.connect()
    let sources = try pair.source.allocate(blocks: 8)
    let targets = try pair.destination.allocate(blocks: 8)
    let (stamps, checksums) = pair.write(sources)
    let grant = pair.grant(sources)
    func copy(_ migration: PoolMigration, under grant: ReadGrant) throws {
      _ = try migration.copy(
        sources, stamps: stamps, checksums: checksums, to: targets, under: grant)
      #expect(pair.holds(targets, of: sources))
    }
    try RDMALab.run("ip", "link", "set", RDMALab.interface, "down")
    defer { try? RDMALab.run("ip", "link", "set", RDMALab.interface, "up") }
    try copy(migration, under: grant)
    #expect(migration.transport == .tcp)
    let without = try await RemotePair(blocks: 8, transports: [.rdma, .tcp])
    #expect(try await without.connect().transport == .tcp)
    try RDMALab.run("ip", "link", "set", RDMALab.interface, "up")
    // Its addresses come back a moment later.
    var again = try await pair.connectAgain()
    while again.transport != .rdma {
      try Task.checkCancellation()
      again = try await pair.connectAgain()
    }
    try copy(again, under: pair.grant(sources))
  }

  @Test("A device that is gone takes its queue pairs with it, and READs go over to TCP")
  func deviceGone() async throws {
    let pair = try await RemotePair(blocks: 8, geometry: largeGeometry, transports: [.rdma, .tcp])
    let migration = try await pair.connect()
    let sources = try pair.source.allocate(blocks: 8)
    let targets = try pair.destination.allocate(blocks: 8)
    let (stamps, checksums) = pair.write(sources)
    let grant = pair.grant(sources)
    let isQuiet = Mutex(false)
    pair.prefill.backend.revoke(pair.ticket, readerIsDone: false) { isQuiet.withLock { $0 = true } }
    #expect(!isQuiet.withLock { $0 })
    // Soft-RoCE's device cannot be taken away while it is used, so its report is passed on.
    pair.prefill.backend.note(.deviceFailed, ofDevice: "rxe0")
    #expect(isQuiet.withLock { $0 })
    let other = TicketID.random()
    #expect(pair.access(to: sources, under: other).protection == nil)
    pair.decode.backend.note(.deviceFailed, ofDevice: "rxe0")
    _ = try migration.copy(
      sources, stamps: stamps, checksums: checksums, to: targets,
      under: ReadGrant(ticket: other, windows: grant.windows))
    #expect(migration.transport == .tcp && pair.holds(targets, of: sources))
  }
}
