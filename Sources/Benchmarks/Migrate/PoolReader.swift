import ControlProtocol
import ControlWire
import KVCore
import KVPool
import Migration
import Platform

/// The process that takes the KV over: decode's part of a hand-over, without a model.
struct PoolReader: Sendable {
  private let options: MigrateOptions
  private let pattern: BlockPattern
  private let backend: MigrationBackend
  private let migration: PoolMigration
  private let destination: KVPool
  private let targets: [BlockRange]
  private let sources: [BlockRange]
  private let stamps: [UInt64]
  private let grant: ReadGrant
  /// Empty where they are not checked.
  private let checksums: [UInt64]
  private let pages: String
  /// The owner's process.
  private let owner: Int32
  private let streamPort: UInt16?

  /// This side's end of a link, which the owner is told before it says how it is reached.
  struct LinkEnd {
    let link = LinkID.random()
    let incarnation = Incarnation.random()
    let ownerIncarnation = Incarnation.random()
    let destination: KVPool
    let backend: MigrationBackend

    init(_ options: MigrateOptions) throws(BatonError) {
      destination = try KVPool(
        geometry: options.geometry.value, blockCount: options.targetBlocks)
      var migration = options.migration
      migration.dataListeners = []
      backend = try MigrationBackend(
        engine: EngineID(PoolRequest.readerName), incarnation: incarnation, options: migration)
      try backend.initialize(
        link: link, remote: EngineID(PoolRequest.ownerName),
        remoteIncarnation: ownerIncarnation)
      try backend.registerMemoryRegion(.destination(destination), link: link)
    }

    func request(_ options: MigrateOptions) throws(BatonError) -> PoolRequest {
      let open = LinkOpen(link: link, endpoints: [try backend.endpointInfo(link: link)])
      return PoolRequest(
        options: options, link: link.rawValue, readerIncarnation: incarnation.rawValue,
        ownerIncarnation: ownerIncarnation.rawValue, seed: .random(in: 0...UInt64.max),
        endpoint: EndpointText.encode(.linkOpen(open)))
    }
  }

  /// Sets the link up; what can be mapped is mapped and populated when it returns.
  init(_ end: LinkEnd, request: PoolRequest, answer: PoolAnswer) async throws {
    options = request.options
    pattern = BlockPattern(seed: request.seed)
    sources = answer.ranges
    stamps = answer.stamps
    checksums = answer.checksums
    grant = ReadGrant(
      ticket: PoolRequest.ticket, windows: try EndpointText.windows(answer.access))
    destination = end.destination
    backend = end.backend
    owner = answer.processID
    streamPort = answer.streamPort
    pages =
      [answer.pages, destination.pages.name].allSatisfy { $0 == answer.pages }
      ? answer.pages : "mixed"
    if options.pages == .huge, pages != MigrateOptions.Pages.huge.rawValue {
      throw BatonError(
        .unavailable,
        "--pages huge: the pools lie on \(answer.pages) and \(destination.pages.name) pages; huge "
          + "ones need pools of whole 2 MiB, and free ones in vm.nr_hugepages or advise in "
          + "/sys/kernel/mm/transparent_hugepage/shmem_enabled")
    }
    // Other blocks of this pool than of the owner's, as in a pool that is in use.
    targets = options.placement.ranges(
      of: try destination.allocate(blocks: options.targetBlocks), seed: request.seed &+ 1)
    try await backend.connect(
      link: end.link, remote: EndpointText.decode(answer.link, as: .linkOpened))
    migration = try PoolMigration(
      backend: backend, link: end.link, peer: EngineID(PoolRequest.ownerName),
      remote: PoolLayout(geometry: options.geometry.value, blockCount: options.blocks),
      destination: destination)
  }

  // MARK: Measuring

  /// Blocks, for some seconds. Both sides take turns, and go first in every other round.
  func measure() throws(BatonError) -> MigrateResult {
    let limits = try limits()
    var migrations = TimedSamples()
    var limitSamples = limits.map { _ in TimedSamples() }
    let start = ContinuousClock.now
    var round = 0
    // The first round warms up and is not counted.
    while round <= BenchmarkLimits.rounds.lowerBound
      || round <= BenchmarkLimits.rounds.upperBound
        && ContinuousClock.now - start < .seconds(options.seconds)
    {
      if round == 1 {
        migrations = TimedSamples()
        limitSamples = limits.map { _ in TimedSamples() }
      }
      let migratesFirst = round % 2 == 0
      if migratesFirst { try migrate(&migrations) }
      for (place, limit) in limits.enumerated() {
        try limit.measure(&limitSamples[place])
      }
      if !migratesFirst { try migrate(&migrations) }
      round += 1
    }
    // What lies in the targets now may be what a limit brought there.
    try checkBytes()
    return try result(
      migrations, limits: zip(limits.map(\.name), limitSamples).map { ($0, $1) },
      rounds: round - 1)
  }

  private func result(
    _ migrations: TimedSamples, limits: [(name: String, samples: TimedSamples)], rounds: Int
  ) throws(BatonError) -> MigrateResult {
    let timed = limits.compactMap { limit in
      limit.samples.times.percentile(0.5).map { (limit.name, $0, limit.samples.processorTime) }
    }
    guard let p50 = migrations.times.percentile(0.5), let p99 = migrations.times.percentile(0.99),
      let best = timed.min(by: { $0.1 < $1.1 })
    else { throw BatonError(.internalError, "no round was measured") }
    return MigrateResult(
      options: options, pages: pages, threads: options.transport == .tcp ? options.lanes : 1,
      p50: p50, p99: p99, limit: best.1, limitName: best.0, limitProcessorTime: best.2,
      processorTime: migrations.processorTime, rounds: rounds)
  }

  /// What the time that processors spend is read from: the thread that copies, or both processes.
  private var processors: () -> Duration {
    guard options.transport != .shm else { return PlatformThread.processorTime }
    return { [owner] in
      PlatformThread.processorTimeOfProcess() + PlatformThread.processorTime(ofProcess: owner)
    }
  }

  /// From the ticket and its stamps to KV that a step can use.
  private func migrate(_ samples: inout TimedSamples) throws(BatonError) {
    switch options.mode {
    case .copy:
      let isShort =
        options.transport == .rdma && options.bytes.rawValue <= BenchmarkLimits.shortReadBytes
      try samples.time(processors, count: isShort ? BenchmarkLimits.shortReadsPerRound : 1) {
        () throws(BatonError) in try copy()
      }
    case .borrow:
      try samples.time(processors, count: BenchmarkLimits.borrowsPerRound) {
        () throws(BatonError) in
        let addresses = try migration.borrow(sources, stamps: stamps).addresses
        precondition(addresses.count == stamps.count, "an address for each block")
      }
    }
  }

  private func copy() throws(BatonError) {
    _ = try migration.copy(
      sources, stamps: stamps, checksums: checksums, to: targets, under: grant)
  }

  // MARK: The limit

  private struct Limit {
    let name: String
    let measure: (inout TimedSamples) throws(BatonError) -> Void
  }

  /// What the machine can do at best with the same blocks between the same memory.
  private func limits() throws(BatonError) -> [Limit] {
    let to = targets.flatMap(\.blocks).map(destination.address)
    if let streamPort {
      let stream = try BareStream(
        port: streamPort, lanes: options.lanes, targets: to,
        blockBytes: options.blockBytes.rawValue)
      return [
        Limit(name: "bare stream") { (samples) throws(BatonError) in
          try samples.time(processors) { () throws(BatonError) in try stream.run() }
        }
      ]
    }
    if options.transport == .rdma {
      let (name, measure) = try Perftest().limit(bytes: options.bytes.rawValue)
      return [
        Limit(name: name) { (samples) throws(BatonError) in samples.add(try measure()) }
      ]
    }
    let from = try migration.borrow(sources, stamps: stamps).addresses
    // As few plain copies as can be: neighbours are joined.
    let copies = PlainCopies(
      from: from, to: from.indices.map { to[$0 % to.count] }, length: options.blockBytes.rawValue)
    return [
      Limit(name: "libc") { (samples) throws(BatonError) in
        try samples.time(processors) { copies.run(pastCaches: false) }
      },
      Limit(name: "past the caches") { (samples) throws(BatonError) in
        try samples.time(processors) { copies.run(pastCaches: true) }
      },
    ]
  }

  // MARK: Checking

  /// Migrates once more and looks at every word of what has come.
  ///
  /// Throws `internalError`, naming the first wrong word.
  private func checkBytes() throws(BatonError) {
    let difference: (position: Int, word: Int)?
    switch options.mode {
    case .copy:
      // Nothing that is there already can pass for what comes.
      for block in targets.lazy.flatMap(\.blocks) {
        destination.withWords(of: block) { $0.update(repeating: 0) }
      }
      try copy()
      difference = firstDifferenceInTargets()
    case .borrow:
      difference = firstDifference(in: try migration.borrow(sources, stamps: stamps))
    }
    if let difference {
      throw BatonError(
        .internalError,
        "word \(difference.word) of block \(difference.position) is not what its owner wrote")
    }
  }

  private func firstDifferenceInTargets() -> (position: Int, word: Int)? {
    for (position, block) in targets.lazy.flatMap(\.blocks).enumerated() {
      let word = destination.withWords(of: block) { words in
        pattern.firstDifference(in: words.span, position: position)
      }
      if let word { return (position, word) }
    }
    return nil
  }

  private func firstDifference(in borrowed: BorrowedBlocks) -> (position: Int, word: Int)? {
    var position = 0
    var found: Int?
    borrowed.forEachBlock { words in
      found = pattern.firstDifference(in: words, position: position)
      if found == nil { position += 1 }
      return found == nil
    }
    return found.map { (position, $0) } ?? (position == stamps.count ? nil : (position, 0))
  }
}
