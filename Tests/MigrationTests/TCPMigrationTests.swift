import ControlProtocol
import KVCore
import KVPool
import Migration
import Platform
import Synchronization
import TestSupport
import Testing

@Suite("Migration over TCP", .timeLimit(.minutes(1)))
struct TCPMigrationTests {
  @Test(
    "Blocks that lie anywhere come whole, over one connection or several",
    arguments: [1, 2, 5], [true, false])
  func copies(lanes: Int, isVerified: Bool) async throws {
    let pair = try await RemotePair(blocks: 128, geometry: largeGeometry, lanes: lanes)
    _ = try pair.source.allocate(blocks: 128)
    _ = try pair.destination.allocate(blocks: 128)
    // Single blocks apart, then runs that are longer than a request.
    let sources = ranges((100, 1), (98, 1), (96, 1), (3, 40), (60, 30))
    let targets = ranges((1, 1), (3, 1), (50, 41), (5, 30))
    let (stamps, checksums) = pair.write(sources)
    _ = pair.grant(sources)
    let migration = try await pair.connect()
    #expect(!migration.canBorrow && migration.transport == .tcp)
    let outcome = try migration.copy(
      sources, stamps: stamps, checksums: isVerified ? checksums : [], to: targets,
      under: pair.onTicket)
    #expect(outcome.bytes == largeGeometry.blockBytes * 73)
    #expect(pair.holds(targets, of: sources))
    #expect(throws: BatonError.self) { try migration.borrow(sources, stamps: stamps) }
  }

  @Test("Small blocks come many at a time")
  func smallBlocks() async throws {
    let pair = try await RemotePair(blocks: 4_000)
    let all = try pair.source.allocate(blocks: 4_000).flatMap(\.blocks)
    let targets = try pair.destination.allocate(blocks: 4_000)
    // None follows its neighbour.
    let sources = (all.indices.filter { $0 % 2 == 0 } + all.indices.filter { $0 % 2 == 1 })
      .map { BlockRange(first: all[$0], count: 1) }
    let (stamps, checksums) = pair.write(sources)
    _ = pair.grant(sources)
    let migration = try await pair.connect()
    _ = try migration.copy(
      sources, stamps: stamps, checksums: checksums, to: targets, under: pair.onTicket)
    #expect(pair.holds(targets, of: sources))
  }

  @Test("A wrong byte is a checksum mismatch that names the block")
  func mismatch() async throws {
    let pair = try await RemotePair(blocks: 64, geometry: largeGeometry)
    let sources = try pair.source.allocate(blocks: 64)
    let targets = try pair.destination.allocate(blocks: 64)
    var (stamps, checksums) = pair.write(sources)
    checksums[37] ^= 1
    _ = pair.grant(sources)
    let migration = try await pair.connect()
    let error = #expect(throws: BatonError.self) {
      try migration.copy(
        sources, stamps: stamps, checksums: checksums, to: targets, under: pair.onTicket)
    }
    #expect(error?.code == .checksumMismatch)
    #expect(error?.message.contains("number 37") == true)
    stamps.removeLast()
    #expect(throws: BatonError.self) {
      try migration.copy(sources, stamps: stamps, to: targets, under: pair.onTicket)
    }
  }

  @Test("Blocks longer than a request are checked whole", arguments: [1_500, 4_096])
  func longBlocks(blockTokens: Int) async throws {
    let geometry = KVGeometry(
      blockTokens: blockTokens,
      groups: [CacheGroup(layers: 1, keyValueHeads: 2, headDimension: 66, dataType: .bfloat16)])
    let pair = try await RemotePair(blocks: 6, geometry: geometry)
    let sources = try pair.source.allocate(blocks: 6)
    let targets = try pair.destination.allocate(blocks: 6)
    let (stamps, written) = pair.write(sources)
    var checksums = written
    _ = pair.grant(sources)
    let migration = try await pair.connect()
    _ = try migration.copy(
      sources, stamps: stamps, checksums: checksums, to: targets, under: pair.onTicket)
    #expect(pair.holds(targets, of: sources))
    checksums[4] ^= 1 << 63
    let error = #expect(throws: BatonError.self) {
      try migration.copy(
        sources, stamps: stamps, checksums: checksums, to: targets, under: pair.onTicket)
    }
    #expect(error?.code == .checksumMismatch && error?.message.contains("number 4") == true)
  }

  // MARK: Grants

  @Test("Nothing is sent without a ticket, under another one, or after it was taken back")
  func notGranted() async throws {
    let pair = try await RemotePair(blocks: 8)
    let sources = try pair.source.allocate(blocks: 4)
    let targets = try pair.destination.allocate(blocks: 4)
    let (stamps, _) = pair.write(sources)
    let migration = try await pair.connect()
    func code(_ ticket: TicketID?) -> ErrorCode? {
      let error = #expect(throws: BatonError.self) {
        try migration.copy(
          sources, stamps: stamps, to: targets, under: ticket.map { ReadGrant(ticket: $0) })
      }
      return error?.code
    }
    #expect(code(nil) == .invalidArgument)
    #expect(code(pair.ticket) == .leaseExpired)
    _ = pair.grant(sources)
    #expect(code(.random()) == .leaseExpired)
    _ = try migration.copy(sources, stamps: stamps, to: targets, under: pair.onTicket)
    let quiet = Signal()
    pair.prefill.backend.revoke(pair.ticket, readerIsDone: false) { quiet.set() }
    // The owner may not know yet that its last byte is out.
    await quiet.wait()
    #expect(code(pair.ticket) == .leaseExpired)
  }

  @Test("Blocks that are not the ticket's are refused, and those that are come all the same")
  func outsideGrant() async throws {
    let pair = try await RemotePair(blocks: 16)
    _ = try pair.source.allocate(blocks: 16)
    _ = try pair.destination.allocate(blocks: 16)
    let (stamps, _) = pair.write(ranges((0, 16)))
    _ = pair.grant(ranges((4, 2), (8, 2), (6, 1)))
    let migration = try await pair.connect()
    for wrong in [ranges((3, 1)), ranges((6, 3)), ranges((9, 2)), ranges((15, 1))] {
      let error = #expect(throws: BatonError.self) {
        try migration.copy(
          wrong, stamps: Array(stamps.prefix(wrong.blockCount)),
          to: ranges((0, UInt32(wrong.blockCount))), under: pair.onTicket)
      }
      #expect(error?.code == .invalidArgument)
    }
    let granted = ranges((4, 3), (8, 2))
    _ = try migration.copy(
      granted, stamps: Array(stamps.prefix(5)), to: ranges((2, 5)), under: pair.onTicket)
    #expect(pair.holds(ranges((2, 5)), of: granted))
  }

  @Test("Memory that is being sent is in use until the connection has let go of it")
  func inUse() async throws {
    let pair = try await RemotePair(blocks: 512, geometry: largeGeometry, lanes: 1)
    let sources = try pair.source.allocate(blocks: 512)
    _ = pair.grant(sources)
    // A reader that asks for more than sockets hold, and reads nothing of it.
    let reader = try RawReader(port: pair.port, link: pair.link, salt: pair.endpoint.salt)
    try reader.ask(ticket: pair.ticket, offset: 0, length: 32 << 20)
    try reader.waitForAnswer()
    let quiet = Signal()
    pair.prefill.backend.revoke(pair.ticket, readerIsDone: false) { quiet.set() }
    #expect(!quiet.isSet)
    reader.close()
    await quiet.wait()
  }

  // MARK: Strangers

  @Test("Both sides need the same cluster key, or one of two", arguments: [0, 1, 2, 3])
  func keys(place: Int) async throws {
    func keys(_ bytes: UInt8...) throws -> ClusterKeys {
      try ClusterKeys(
        bytes.map { (byte) throws(BatonError) in try ClusterKey(Array(repeating: byte, count: 32)) }
      )
    }
    let cases: [(owner: ClusterKeys?, reader: ClusterKeys?, fits: Bool)] = [
      (try keys(1), try keys(1), true), (try keys(1, 2), try keys(2, 3), true),
      (try keys(1), try keys(2), false), (try keys(1), nil, false),
    ]
    let (owner, reader, fits) = cases[place]
    let pair = try await RemotePair(blocks: 4, ownerKeys: owner, readerKeys: reader)
    if fits {
      _ = try await pair.connect()
    } else {
      let error = await #expect(throws: BatonError.self) { _ = try await pair.connect() }
      #expect(error?.code == .unauthenticated)
    }
  }

  @Test("A reader with another salt, another link or other words is turned away")
  func strangers() async throws {
    let pair = try await RemotePair(blocks: 4)
    var wrong = pair.endpoint
    wrong.salt[0] ^= 1
    let endpoint = EndpointInfo(tcp: wrong)
    let error = await #expect(throws: BatonError.self) {
      try await pair.decode.backend.connect(link: pair.link, remote: endpoint)
    }
    #expect(error?.code == .unauthenticated)
    let unknown = try RawReader.welcome(port: pair.port, link: .random())
    #expect(unknown?.starts(with: Array("BTNT".utf8) + [1, 1]) == true)
    let socket = try TCPSocket.connect(
      host: "127.0.0.1", port: pair.port, timeoutMilliseconds: 30_000)
    try socket.send(Array("GET / HTTP/1.1\r\nHost: example.org:18000\r\nAccept:".utf8))
    let answer = try socket.receive(count: 8)
    #expect(answer == Array("BTNT".utf8) + [1, 2, 0, 0])
    _ = try await pair.connect()
  }
}
