import ControlProtocol
import KVCore
import KVPool
import Migration
import Platform
import TestSupport
import Testing

@Suite("Migration backend", .timeLimit(.minutes(1)))
struct MigrationBackendTests {
  @Test("A piece outside either region fails the whole batch before a byte moves")
  func boundsAreChecked() async throws {
    let pair = try await PoolPair(sourceBlocks: 4, destinationBlocks: 2)
    _ = pair.write(try pair.source.allocate(blocks: 4), seed: 5)
    let block = smallGeometry.blockBytes.rawValue
    let good = MigrationItem(
      region: PoolLayout.blocksKey, targetOffset: .zero, sourceOffset: .zero,
      length: ByteCount(block))
    func item(_ target: Int, _ source: Int, _ length: Int, key: UInt32 = 0) -> MigrationItem {
      MigrationItem(
        region: RegionKey(key), targetOffset: ByteCount(target),
        sourceOffset: ByteCount(source), length: ByteCount(length))
    }
    let bad = [
      item(2 * block, 0, 1), item(0, 4 * block, 1), item(block + 1, 0, block),
      item(0, 3 * block + 1, block), item(-1, 0, 1), item(0, -1, 1), item(0, 0, -1),
      item(Int.max, 0, 2), item(0, Int.max, 2), item(1, 1, Int.max), item(Int.min, 0, 1),
      item(0, 0, 64, key: 1), item(0, 0, 1, key: 77),
    ]
    for piece in bad {
      let error = #expect(throws: BatonError.self) {
        try pair.decode.backend.migrate(link: pair.link, batch: [good, piece])
      }
      #expect(error?.code == .invalidArgument)
      #expect(error?.message.hasPrefix("piece 1 of a migration") == true)
      #expect(pair.holds(ranges((0, 1)), seed: 5) == false)
    }
    let last = item(2 * block, 4 * block, 0)
    let outcome = try pair.decode.backend.migrate(link: pair.link, batch: [good, last])
    #expect(outcome == MigrationOutcome(bytes: ByteCount(block), reads: 1))
    #expect(pair.holds(ranges((0, 1)), seed: 5))
  }

  @Test("Each call on a link that is not ready for it is an error of its own")
  func lifecycle() async throws {
    let prefill = try Side("prefill-0")
    let decode = try Side("decode-0")
    let link = LinkID.random()
    let memory = PlainMemory(length: 64)
    func code(_ body: () throws -> Void) -> ErrorCode? {
      #expect(throws: BatonError.self, performing: body)?.code
    }
    #expect(code { _ = try decode.backend.endpointInfo(link: link) } == .unavailable)
    #expect(code { _ = try decode.backend.migrate(link: link, batch: []) } == .unavailable)
    try decode.initialize(link, to: prefill)
    #expect(code { try decode.initialize(link, to: prefill) } == .invalidArgument)
    try decode.backend.registerMemoryRegion(memory.region(RegionKey(0)), link: link)
    #expect(
      code { try decode.backend.registerMemoryRegion(memory.region(RegionKey(0)), link: link) }
        == .invalidArgument)
    #expect(code { _ = try decode.backend.migrate(link: link, batch: []) } == .unavailable)
    let nothing = SharedMemoryEndpoint(socketName: "", token: [], regions: [])
    try await decode.backend.connect(link: link, remote: EndpointInfo(sharedMemory: nothing))
    await #expect(throws: BatonError.self) {
      try await decode.backend.connect(link: link, remote: EndpointInfo(sharedMemory: nothing))
    }
    #expect(
      code { _ = try decode.backend.remoteRegion(link: link, key: RegionKey(0)) }
        == .invalidArgument)
    decode.backend.disconnect(link: link)
    decode.backend.disconnect(link: link)
    #expect(decode.backend.linkCount == 0)
    #expect(code { _ = try decode.backend.migrate(link: link, batch: []) } == .unavailable)
  }

  @Test("A link that is released keeps its regions and can be connected again")
  func releaseAndReconnect() async throws {
    let pair = try await PoolPair(sourceBlocks: 4, destinationBlocks: 4)
    let sources = try pair.source.allocate(blocks: 2)
    let stamps = pair.write(sources, seed: 3)
    let borrowed = try pair.migration().borrow(sources, stamps: stamps)
    pair.decode.backend.release(link: pair.link)
    let error = #expect(throws: BatonError.self) { _ = try pair.migration() }
    #expect(error?.code == .unavailable)
    #expect(borrowed.firstStale() == nil)
    try await pair.decode.backend.connect(
      link: pair.link, remote: try pair.prefill.backend.endpointInfo(link: pair.link))
    _ = try pair.migration().copy(sources, stamps: stamps, to: ranges((0, 2)))
    #expect(pair.holds(ranges((0, 2)), seed: 3))
  }

  @Test("Shared regions of one link must follow each other in one descriptor")
  func regionsShareOneDescriptor() throws {
    let prefill = try Side("prefill-0")
    let link = LinkID.random()
    try prefill.initialize(link, to: try Side("decode-0"))
    let page = SystemMemory.pageBytes.rawValue
    let memory = try ForeignMemory(length: 4 * page)
    func code(_ region: MemoryRegion) -> ErrorCode? {
      do {
        try prefill.backend.registerMemoryRegion(region, link: link)
        return nil
      } catch {
        return error.code
      }
    }
    #expect(code(memory.region(RegionKey(0), length: page, offset: page)) == .invalidArgument)
    #expect(code(memory.region(RegionKey(0), length: page + 1)) == nil)
    #expect(code(memory.region(RegionKey(1), length: page, offset: page)) == .invalidArgument)
    #expect(
      code(memory.region(RegionKey(1), length: 2 * page + 1, offset: 2 * page))
        == .invalidArgument)
    let other = try ForeignMemory(length: page)
    #expect(code(other.region(RegionKey(1), length: page)) == .invalidArgument)
    #expect(code(memory.region(RegionKey(1), length: 2 * page, offset: 2 * page)) == nil)
    let endpoint = try prefill.sharedMemoryEndpoint(link)
    #expect(
      endpoint.regions == [
        RegionInfo(key: RegionKey(0), length: ByteCount(page + 1)),
        RegionInfo(key: RegionKey(1), length: ByteCount(2 * page)),
      ])
  }

  @Test("An endpoint whose regions cannot be is refused before anybody is asked")
  func impossibleEndpoints() async throws {
    let prefill = try Side("prefill-0")
    let decode = try Side("decode-0")
    let link = LinkID.random()
    try decode.initialize(link, to: prefill)
    func region(_ key: UInt32, _ length: Int) -> RegionInfo {
      RegionInfo(key: RegionKey(key), length: ByteCount(length))
    }
    for regions in [
      [region(0, 0)], [region(0, -5)], [region(0, 8), region(0, 8)],
      [region(0, Int.max)], [region(0, Int.max / 8), region(1, Int.max / 4)],
      (0..<65).map { region($0, 8) },
    ] {
      let endpoint = SharedMemoryEndpoint(
        socketName: "@baton-nobody", token: [UInt8](repeating: 0, count: 16), regions: regions)
      let error = await #expect(throws: BatonError.self) {
        try await decode.backend.connect(link: link, remote: EndpointInfo(sharedMemory: endpoint))
      }
      #expect(error?.code == .invalidArgument)
    }
  }
}
