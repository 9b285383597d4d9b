import ControlProtocol
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
  /// Empty where they are not checked.
  private let checksums: [UInt64]
  private let pages: String

  /// Sets the link up; the owner's memory is mapped and populated when it returns.
  init(request: PoolRequest, answer: PoolAnswer) async throws {
    options = request.options
    pattern = BlockPattern(seed: request.seed)
    sources = answer.ranges
    stamps = answer.stamps
    checksums = answer.checksums
    destination = try KVPool(
      geometry: options.geometry.value, blockCount: options.targetBlocks)
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
    let owner = try EngineID(PoolRequest.ownerName)
    let link = LinkID(request.link)
    backend = try MigrationBackend(
      engine: EngineID(PoolRequest.readerName), incarnation: Incarnation(request.readerIncarnation))
    try backend.initialize(
      link: link, remote: owner, remoteIncarnation: Incarnation(request.ownerIncarnation))
    try backend.registerMemoryRegion(.destination(destination), link: link)
    try await backend.connect(link: link, remote: answer.endpoint)
    migration = try PoolMigration(
      backend: backend, link: link, peer: owner,
      remote: PoolLayout(geometry: options.geometry.value, blockCount: options.blocks),
      destination: destination)
  }

  // MARK: Measuring

  /// Blocks, for some seconds. Both sides take turns, and go first in every other round.
  func measure() throws(BatonError) -> MigrateResult {
    let copies = try plainCopies()
    var migrations = Samples()
    var library = Samples()
    var pastCaches = Samples()
    var processorTime = Duration.zero
    let start = ContinuousClock.now
    var round = 0
    // The first round warms up and is not counted.
    while round <= BenchmarkLimits.rounds.lowerBound
      || round <= BenchmarkLimits.rounds.upperBound
        && ContinuousClock.now - start < .seconds(options.seconds)
    {
      if round == 1 {
        (migrations, library, pastCaches) = (Samples(), Samples(), Samples())
        processorTime = .zero
      }
      let migratesFirst = round % 2 == 0
      if migratesFirst { try migrate(&migrations, &processorTime) }
      Self.time(&library) { copies.run(pastCaches: false) }
      Self.time(&pastCaches) { copies.run(pastCaches: true) }
      if !migratesFirst { try migrate(&migrations, &processorTime) }
      round += 1
    }
    // What lies in the targets now may be a plain copy's.
    try checkBytes()
    return try result(
      migrations, library: library, pastCaches: pastCaches,
      processorTime: processorTime, rounds: round - 1)
  }

  private func result(
    _ migrations: Samples, library: Samples, pastCaches: Samples, processorTime: Duration,
    rounds: Int
  ) throws(BatonError) -> MigrateResult {
    guard let p50 = migrations.percentile(0.5), let p99 = migrations.percentile(0.99),
      let libraryTime = library.percentile(0.5), let pastCachesTime = pastCaches.percentile(0.5)
    else { throw BatonError(.internalError, "no round was measured") }
    let isLibraryFaster = libraryTime < pastCachesTime
    return MigrateResult(
      options: options, pages: pages, threads: 1, p50: p50, p99: p99,
      limit: isLibraryFaster ? libraryTime : pastCachesTime,
      limitName: isLibraryFaster ? "libc" : "past the caches",
      processorTime: processorTime / migrations.count, rounds: rounds)
  }

  private static func time(_ samples: inout Samples, _ body: () -> Void) {
    let start = ContinuousClock.now
    body()
    samples.add(ContinuousClock.now - start)
  }

  /// From the ticket and its stamps to KV that a step can use.
  private func migrate(
    _ samples: inout Samples, _ processorTime: inout Duration
  ) throws(BatonError) {
    let before = PlatformThread.processorTime()
    switch options.mode {
    case .copy:
      let start = ContinuousClock.now
      _ = try migration.copy(sources, stamps: stamps, checksums: checksums, to: targets)
      samples.add(ContinuousClock.now - start)
    case .borrow:
      for _ in 0..<BenchmarkLimits.borrowsPerRound {
        let start = ContinuousClock.now
        let addresses = try migration.borrow(sources, stamps: stamps).addresses
        samples.add(ContinuousClock.now - start)
        precondition(addresses.count == stamps.count, "an address for each block")
      }
    }
    processorTime += PlatformThread.processorTime() - before
  }

  // MARK: The limit

  /// The same blocks between the same memory, as few plain copies: neighbours are joined.
  private func plainCopies() throws(BatonError) -> PlainCopies {
    let from = try migration.borrow(sources, stamps: stamps).addresses
    let to = targets.flatMap(\.blocks).map(destination.address)
    return PlainCopies(
      from: from, to: from.indices.map { to[$0 % to.count] }, length: options.blockBytes.rawValue)
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
      _ = try migration.copy(sources, stamps: stamps, checksums: checksums, to: targets)
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
