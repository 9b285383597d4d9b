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
    var move = try await pair.move(blocks: 8)
    try RDMALab.run("ip", "link", "set", RDMALab.interface, "down")
    defer { try? RDMALab.run("ip", "link", "set", RDMALab.interface, "up") }
    try move.copy()
    #expect(move.hasArrived && move.migration.transport == .tcp)
    let without = try await RemotePair(blocks: 8, transports: [.rdma, .tcp])
    let overTCP = try await without.connect()
    #expect(overTCP.transport == .tcp)
    // Another link may have more.
    #expect(overTCP.isImpaired)
    let error = await #expect(throws: BatonError.self) {
      _ = try await RemotePair(blocks: 8, transports: [.rdma])
    }
    #expect(error?.code == .unavailable && error?.message.contains("port") == true)
    try RDMALab.run("ip", "link", "set", RDMALab.interface, "up")
    // Its addresses come back a moment later.
    repeat {
      try Task.checkCancellation()
      move.migration = try await pair.connectAgain()
    } while move.migration.transport != .rdma
    move.grant = pair.grant(move.sources)
    try move.copy()
    #expect(move.hasArrived)
  }

  @Test("A device that is gone takes its queue pairs with it, and READs go over to TCP")
  func deviceGone() async throws {
    let pair = try await RemotePair(blocks: 8, geometry: largeGeometry, transports: [.rdma, .tcp])
    let move = try await pair.move(blocks: 8)
    let isQuiet = Mutex(false)
    pair.prefill.backend.revoke(pair.ticket, readerIsDone: false) { isQuiet.withLock { $0 = true } }
    #expect(!isQuiet.withLock { $0 })
    // Soft-RoCE's device cannot be taken away while it is used, so its report is passed on.
    pair.prefill.backend.note(.deviceFailed, ofDevice: "rxe0")
    #expect(isQuiet.withLock { $0 })
    let other = TicketID.random()
    #expect(pair.access(to: move.sources, under: other).protection == nil)
    pair.decode.backend.note(.deviceFailed, ofDevice: "rxe0")
    try move.copy(under: ReadGrant(ticket: other, windows: move.grant.windows))
    #expect(move.migration.transport == .tcp && move.hasArrived)
  }

  @Test(
    "A pool that is longer than devices take as one region is registered, lent and read in parts",
    arguments: [true, false])
  func sections(isVerified: Bool) async throws {
    let blocks = 160
    // Of some bytes more than five blocks, which end where the fifth does.
    let pair = try await RemotePair(
      blocks: blocks, lanes: 2, transports: [.rdma],
      registrationBytes: smallGeometry.blockBytes * 5 + ByteCount(100))
    let migration = try await pair.connect()
    #expect(pair.prefill.backend.summaries.contains { $0.contains("as regions of 20 KiB") })
    let all = try pair.source.allocate(blocks: blocks)
    _ = try pair.destination.allocate(blocks: blocks)
    let (stamps, checksums) = pair.write(all)
    // Over the ends of sections of the source, at 5, and of the target, elsewhere.
    let sources = ranges((3, 31), (100, 9))
    let places = sources.flatMap(\.blocks).map { Int($0.rawValue) }
    let grant = pair.grant(sources)
    #expect(grant.windows.count == 9)
    func copy(to targets: [BlockRange], under grant: ReadGrant) throws {
      _ = try migration.copy(
        sources, stamps: places.map { stamps[$0] },
        checksums: isVerified ? places.map { checksums[$0] } : [], to: targets, under: grant)
      #expect(pair.holds(targets, of: sources))
    }
    try copy(to: ranges((51, 40)), under: grant)
    let isQuiet = Mutex(false)
    pair.prefill.backend.revoke(pair.ticket, readerIsDone: true) { isQuiet.withLock { $0 = true } }
    #expect(isQuiet.withLock { $0 })
    // In too many pieces for windows: every section is lent.
    let wide = (0..<UInt32(blocks / 2)).map { BlockRange(first: BlockIndex($0 * 2), count: 1) }
    let access = pair.access(to: wide, under: TicketID.random())
    #expect(access.protection == .pool && access.windows.count == blocks / 5)
    try copy(
      to: ranges((101, 40)), under: ReadGrant(ticket: pair.ticket, windows: access.windows))
    #expect(pair.told.all == [])
  }

  @Test("A pool of too many regions is refused with the numbers")
  func tooManySections() throws {
    let pool = try KVPool(geometry: smallGeometry, blockCount: 130)
    for (bytes, words) in [(8_192, "64 regions of 8 KiB"), (4_096, "64 regions of 4 KiB")] {
      let side = try Side(
        "prefill-0",
        options: MigrationOptions(transports: [.rdma], registrationBytes: ByteCount(bytes)))
      let failures = side.backend.prepare(MemoryRegion.shared(pool))
      #expect(failures.count == 1 && failures[0].error.code == .incompatible)
      #expect(failures.first?.error.message.contains(words) == true)
    }
  }
}
