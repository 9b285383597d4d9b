import ControlProtocol
import KVCore
import KVPool
import Migration
import Platform
import Synchronization
import TestSupport

/// Owns a pool, lends blocks of it under leases that expire by the clock, and reuses them.
///
/// Every 8 bytes of a block are the stamp that the block is final under.
final class Owner {
  /// What the thread that reuses blocks shares with the rest.
  private final class Race: Sendable {
    let isOver = Atomic<Bool>(false)
    let blocksWritten = Atomic<Int>(0)
  }

  /// Long enough for a reader to take what it was lent, short enough for a test to wait for.
  private static let leaseDuration = Duration.milliseconds(300)
  /// After so many blocks the writer tells of itself, so that a test has something to go by.
  private static let blocksPerTurn = 20_000

  private let settings: PoolSettings
  private let pool: KVPool
  private let backend: MigrationBackend
  private var leases = LeaseTable(duration: leaseDuration)
  private var race: (state: Race, thread: PlatformThread)?

  init(_ settings: PoolSettings) throws(BatonError) {
    self.settings = settings
    pool = try KVPool(geometry: settings.geometry, blockCount: settings.blockCount)
    backend = try MigrationBackend(engine: settings.engine, incarnation: settings.incarnation)
  }

  func run() throws {
    Dialogue.say("ready \(settings.incarnation.rawValue)")
    while true {
      switch Dialogue.next(before: leases.nextDeadline) {
      case .command(let words): try obey(words)
      case .timeUp:
        for ended in leases.expire(now: .now) {
          pool.free(ended.blocks)
          Dialogue.say("expired")
        }
      case .end: return
      }
    }
  }

  private func obey(_ words: [String]) throws {
    switch (words.first, words.dropFirst().first, words.dropFirst(2).first) {
    case ("offer", let engine?, let incarnation?):
      try offer(to: EngineID(engine), Incarnation(UInt64(incarnation) ?? 0))
    case ("lease", let count?, _):
      let blocks = try pool.allocate(blocks: Int(count) ?? 0)
      let stamps = write(blocks)
      leases.grant(.random(), blocks: blocks, now: .now)
      Dialogue.say("leased \(Words.text(blocks)) \(Words.text(stamps))")
    case ("reuse", _, _):
      // Everything that is free, twice.
      for _ in 0..<2 {
        let blocks = try pool.allocate(blocks: pool.statistics.free)
        _ = write(blocks)
        pool.free(blocks)
      }
      Dialogue.say("reused")
    case ("check", let blocks?, let stamps?):
      let isIntact = zip(try Words.ranges(blocks).flatMap(\.blocks), Words.stamps(stamps))
        .allSatisfy { block, stamp in
          pool.currentStamp(block) == stamp
            && isFilled(pool.address(of: block), with: stamp, bytes: settings.blockBytes)
        }
      Dialogue.say("\(isIntact ? "intact" : "changed") seals \(try pool.file.seals())")
    case ("race", let batch?, _):
      try startRace(batch: Int(batch) ?? 1)
      Dialogue.say("racing")
    case ("stop", _, _):
      race?.state.isOver.store(true, ordering: .relaxed)
      race?.thread.join()
      let written = race?.state.blocksWritten.load(ordering: .relaxed) ?? 0
      Dialogue.say("wrote \(written)")
    default: throw BatonError(.invalidArgument, "\(words) is no command of an owner")
    }
  }

  private func offer(to engine: EngineID, _ incarnation: Incarnation) throws(BatonError) {
    let link = LinkID.random()
    try backend.initialize(link: link, remote: engine, remoteIncarnation: incarnation)
    for region in MemoryRegion.shared(pool) {
      try backend.registerMemoryRegion(region, link: link)
    }
    guard let endpoint = try backend.endpointInfo(link: link).sharedMemory else { return }
    Dialogue.say("offer \(endpoint.socketName) \(Hexadecimal.string(endpoint.token))")
  }

  private func write(_ ranges: [BlockRange]) -> [UInt64] {
    Self.write(ranges, in: pool)
  }

  private static func write(_ ranges: [BlockRange], in pool: KVPool) -> [UInt64] {
    ranges.flatMap(\.blocks).map { block in
      fill(
        pool.address(of: block), with: pool.currentStamp(block) + 1,
        bytes: pool.geometry.blockBytes.rawValue)
      return pool.endWrite(block)
    }
  }

  /// Allocates and writes 1 to `batch` blocks at a time, as fast as it can, and frees some of them
  /// whenever the pool is full.
  private func startRace(batch: Int) throws(BatonError) {
    let state = Race()
    let pool = pool
    let thread = try PlatformThread.start(name: "writer") {
      var generator = SplitMix64(seed: 1)
      var held: [[BlockRange]] = []
      var written = 0
      while !state.isOver.load(ordering: .relaxed) {
        let count = Int.random(in: 1...batch, using: &generator)
        guard let blocks = try? pool.allocate(blocks: count) else {
          pool.free(held.remove(at: Int.random(in: held.indices, using: &generator)))
          continue
        }
        _ = Self.write(blocks, in: pool)
        held.append(blocks)
        if written / Self.blocksPerTurn != (written + count) / Self.blocksPerTurn {
          Dialogue.say("turn")
        }
        written += count
      }
      for blocks in held { pool.free(blocks) }
      state.blocksWritten.store(written, ordering: .relaxed)
    }
    race = (state, thread)
  }
}
