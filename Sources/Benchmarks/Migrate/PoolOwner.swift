import ControlProtocol
import ControlWire
import Foundation
package import KVCore
import KVPool
import Migration
import Platform

/// The process that owns the pool: prefill's part of a hand-over, without a model.
package enum PoolOwner {
  /// The hidden subcommand of `baton bench` that runs it.
  package static let commandName = "pool-owner"

  /// Reads one request from standard input, offers a pool with a sequence in it, answers on
  /// standard output, and returns when standard input ends: with the reader, however that ends.
  ///
  /// What fails is answered, too.
  package static func run() async throws {
    guard let line = try await PlatformThread.run(name: "baton-stdin", { readLine() })
    else { return }
    let answer: PoolOwnerLine
    var held: (KVPool, MigrationBackend, BareStreamServer?)?
    do {
      let request: PoolRequest = try decode(line)
      if request.options.pages == .base { try SystemMemory.useBasePagesOnly() }
      let (pool, backend, stream, offered) = try await offer(request)
      held = (pool, backend, stream)
      answer = .ready(offered)
    } catch {
      let error = BatonError(wrapping: error)
      answer = .failed(code: error.code.rawValue, message: error.message)
    }
    let data = try JSONEncoder().encode(answer) + Data("\n".utf8)
    try FileHandle.standardOutput.write(contentsOf: data)
    try await PlatformThread.run(name: "baton-stdin") { while readLine() != nil {} }
    withExtendedLifetime(held) {}
  }

  private static func decode(_ line: String) throws(BatonError) -> PoolRequest {
    do {
      return try JSONDecoder().decode(PoolRequest.self, from: Data(line.utf8))
    } catch {
      throw BatonError(
        .invalidArgument,
        "the owner of a benchmark's pool is started by baton bench, which tells it what to do on "
          + "standard input; this is not it: \(error)")
    }
  }

  private static func offer(
    _ request: PoolRequest
  ) async throws -> (KVPool, MigrationBackend, BareStreamServer?, PoolAnswer) {
    let options = request.options
    let pool = try KVPool(geometry: options.geometry.value, blockCount: options.blocks)
    let ranges = options.placement.ranges(
      of: try pool.allocate(blocks: options.blocks), seed: request.seed)
    let pattern = BlockPattern(seed: request.seed)
    var stamps: [UInt64] = []
    var checksums: [UInt64] = []
    for (position, block) in ranges.lazy.flatMap(\.blocks).enumerated() {
      pool.withWords(of: block) { pattern.fill(&$0, position: position) }
      if options.verify == .full { checksums.append(pool.checksum(of: block)) }
      stamps.append(pool.endWrite(block))
    }
    let backend = try MigrationBackend(
      engine: EngineID(PoolRequest.ownerName), incarnation: Incarnation(request.ownerIncarnation),
      options: options.migration)
    let link = LinkID(request.link)
    try backend.initialize(
      link: link, remote: EngineID(PoolRequest.readerName),
      remoteIncarnation: Incarnation(request.readerIncarnation))
    for region in MemoryRegion.shared(pool) {
      try backend.registerMemoryRegion(region, link: link)
    }
    let remote = try EndpointText.decode(request.endpoint, as: .linkOpen)
    try await backend.connect(link: link, remote: remote)
    let endpoint = try backend.endpointInfo(link: link)
    let blockBytes = options.blockBytes.rawValue
    let access = backend.grant(
      PoolRequest.ticket,
      extents: ranges.map { range in
        RegionExtent(
          region: PoolLayout.blocksKey, offset: Int(range.first.rawValue) * blockBytes,
          length: Int(range.count) * blockBytes)
      }, link: link)
    let stream =
      options.transport != .tcp
      ? nil
      : try BareStreamServer(
        blocks: ranges.flatMap(\.blocks).map(pool.address), blockBytes: blockBytes)
    let answer = PoolAnswer(
      ranges: ranges, stamps: stamps, checksums: checksums,
      endpoint: endpoint, windows: access.windows,
      streamPort: stream?.port, pages: pool.pages.name)
    return (pool, backend, stream, answer)
  }
}

extension MigrateOptions.Placement {
  /// The blocks of `ranges` in the order of a sequence that is placed like this.
  package func ranges(of ranges: [BlockRange], seed: UInt64) -> [BlockRange] {
    guard self == .scattered else { return ranges }
    // Odd places first, then even ones, each shuffled, so that only where they meet one can follow
    // its neighbour; the even ones then take the other direction.
    var generator = SeededGenerator(state: seed)
    let blocks = ranges.flatMap(\.blocks)
    let odd = blocks.indices.filter { $0 % 2 == 1 }.shuffled(using: &generator)
    var even = blocks.indices.filter { $0 % 2 == 0 }.shuffled(using: &generator)
    if let last = odd.last, even.first == last + 1 { even.reverse() }
    return (odd + even).map { BlockRange(first: blocks[$0], count: 1) }
  }
}

/// Numbers that are the same in both processes for the same seed.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state = BlockPattern.mix(state &+ 0x9E37_79B9_7F4A_7C15)
    return state
  }
}
