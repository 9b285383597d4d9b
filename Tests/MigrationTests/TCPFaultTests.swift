import ControlProtocol
import KVCore
import KVPool
import Migration
import Platform
import Testing

@Suite("Data connections that fail", .timeLimit(.minutes(1)))
struct TCPFaultTests {
  private struct Prepared {
    let pair: RemotePair
    let sources: [BlockRange]
    let targets: [BlockRange]
    let stamps: [UInt64]
    let checksums: [UInt64]

    init(blocks: Int = 96, lanes: Int = 2, timeoutMilliseconds: UInt32 = 10_000) async throws {
      pair = try await RemotePair(
        blocks: blocks, geometry: largeGeometry, lanes: lanes,
        timeoutMilliseconds: timeoutMilliseconds)
      sources = try pair.source.allocate(blocks: blocks)
      targets = try pair.destination.allocate(blocks: blocks)
      (stamps, checksums) = pair.write(sources)
      _ = pair.grant(sources)
    }

    func copy(_ migration: PoolMigration, cancellation: MigrationCancellation? = nil) throws {
      _ = try migration.copy(
        sources, stamps: stamps, checksums: checksums, to: targets, under: pair.onTicket,
        cancellation: cancellation)
      #expect(pair.holds(targets, of: sources))
    }
  }

  @Test("What a lost connection leaves comes over another, and it is opened anew")
  func cut() async throws {
    let prepared = try await Prepared()
    let relay = try Relay(
      to: prepared.pair.port,
      faults: [.cut(afterBytes: 1_500_000), .cut(afterBytes: 800_000), .cut(afterBytes: 1_200_000)])
    let migration = try await prepared.pair.connect(over: relay)
    try prepared.copy(migration)
    #expect(relay.opened >= 3)
    // Of the 6 MiB only the requests that were cut came twice.
    #expect(relay.bytes < 14 << 20)
  }

  @Test("A connection that stands still is given up, though it does not end")
  func stall() async throws {
    let prepared = try await Prepared(timeoutMilliseconds: 300)
    let relay = try Relay(to: prepared.pair.port, faults: [.stall(afterBytes: 1_500_000)])
    let migration = try await prepared.pair.connect(over: relay)
    try prepared.copy(migration)
    #expect(relay.opened >= 2)
  }

  @Test("Connections that were lost while nobody read cost no migration")
  func idle() async throws {
    let prepared = try await Prepared()
    let relay = try Relay(to: prepared.pair.port)
    let migration = try await prepared.pair.connect(over: relay)
    try prepared.copy(migration)
    let before = relay.opened
    relay.cutAll()
    try prepared.copy(migration)
    #expect(relay.opened > before)
  }

  @Test("An owner that is gone is an error, and what had come is kept from nobody")
  func gone() async throws {
    let prepared = try await Prepared()
    let migration = try await prepared.pair.connect()
    try prepared.copy(migration)
    prepared.pair.prefill.backend.disconnect(link: prepared.pair.link)
    let error = #expect(throws: BatonError.self) { try prepared.copy(migration) }
    #expect(error?.code == .peerGone || error?.code == .unavailable)
    #expect(error?.isRetryable == true)
  }

  @Test("A migration that nobody waits for ends early")
  func cancelled() async throws {
    let prepared = try await Prepared()
    let migration = try await prepared.pair.connect()
    let cancellation = MigrationCancellation()
    cancellation.cancel()
    let error = #expect(throws: BatonError.self) {
      try prepared.copy(migration, cancellation: cancellation)
    }
    #expect(error?.code == .cancelled)
    try prepared.copy(migration)
  }

  @Test("A link whose memory cannot be mapped takes data connections, and tells why")
  func fallback() async throws {
    let loopback = MigrationOptions.DataListener(
      host: "127.0.0.1", port: 0, advertisedHost: "127.0.0.1")
    let prefill = try Side("prefill-0", options: MigrationOptions(dataListeners: [loopback]))
    let decode = try Side("decode-0")
    let pool = try KVPool(geometry: smallGeometry, blockCount: 4)
    let link = LinkID.random()
    let told = Told()
    try prefill.initialize(link, to: decode)
    try decode.backend.initialize(
      link: link, remote: prefill.engine, remoteIncarnation: prefill.incarnation,
      onTransportFailure: { transport, error, wasInUse in
        told.add("\(transport) \(error.code) \(wasInUse)")
      })
    for region in MemoryRegion.shared(pool) {
      try prefill.backend.registerMemoryRegion(region, link: link)
    }
    var endpoint = try prefill.backend.endpointInfo(link: link)
    #expect(endpoint.transports == [.sharedMemory, .tcp])
    // As on another node: nobody listens there.
    endpoint.sharedMemory?.socketName = "@baton-elsewhere-\(link)"
    try await decode.backend.connect(link: link, remote: endpoint)
    #expect(told.all == ["shm PEER_GONE false"])
    let migration = try PoolMigration(
      backend: decode.backend, link: link, peer: prefill.engine, remote: pool.layout,
      destination: try KVPool(geometry: smallGeometry, blockCount: 4))
    #expect(migration.transport == .tcp)
  }

  @Test("Sides without a common transport are told so, with what each has")
  func nothingInCommon() async throws {
    let pair = try await RemotePair(blocks: 4)
    let shared = EndpointInfo(sharedMemory: .nothing)
    let error = await #expect(throws: BatonError.self) {
      try await pair.decode.backend.connect(link: pair.link, remote: shared)
    }
    #expect(error?.code == .incompatible)
    #expect(error?.message.contains("shm") == true && error?.message.contains("tcp") == true)
  }
}
