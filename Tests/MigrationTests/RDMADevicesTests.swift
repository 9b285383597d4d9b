import Foundation
import KVCore
import KVPool
import Migration
import TestSupport
import Testing

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

  @Test("Queue pairs of one link are spread over them, and each reads its part")
  func striped() async throws {
    let second = try SecondDevice()
    defer { withExtendedLifetime(second) {} }
    let blocks = 1_024
    let pair = try await RemotePair(blocks: blocks, lanes: 4, transports: [.rdma])
    let migration = try await pair.connect()
    // Which devices the owner works with.
    #expect(pair.prefill.backend.summaries.contains { $0.contains(SecondDevice.name) })
    let all = try pair.source.allocate(blocks: blocks).flatMap(\.blocks)
    let targets = try pair.destination.allocate(blocks: blocks)
    // No two follow each other, so each is a READ: more than one queue pair has room for.
    let sources = (all.indices.filter { $0 % 2 == 0 } + all.indices.filter { $0 % 2 == 1 })
      .map { BlockRange(first: all[$0], count: 1) }
    let (stamps, checksums) = pair.write(sources)
    let grant = pair.grant(sources)
    let before = try ["rxe0", SecondDevice.name].map(Self.packets)
    _ = try migration.copy(
      sources, stamps: stamps, checksums: checksums, to: targets, under: grant)
    #expect(pair.holds(targets, of: sources))
    let after = try ["rxe0", SecondDevice.name].map(Self.packets)
    for (before, after) in zip(before, after) { #expect(after - before >= blocks / 8) }
    #expect(pair.told.all == [])
  }
}
