package import KVCore
import Migration

/// What `baton bench migrate` measures.
package struct MigrateOptions: Hashable, Sendable, Codable {
  package enum Transport: String, CaseIterable, Sendable, Codable {
    case shm
    case rdma
    case tcp
  }

  /// As decode's `--handoff`.
  package enum Mode: String, CaseIterable, Sendable, Codable {
    case borrow
    case copy
  }

  /// How the blocks lie in both pools.
  package enum Placement: String, CaseIterable, Sendable, Codable {
    /// One run.
    case contiguous
    /// In an order in which no block follows its neighbour, so that nothing can be joined.
    case scattered
  }

  /// What the pools lie on.
  package enum Pages: String, CaseIterable, Sendable, Codable {
    /// Base pages, whatever the system has.
    case base = "4k"
    case huge
  }

  /// Whether the checksums of what has come are checked. Stamps always are.
  package enum Verify: String, CaseIterable, Sendable, Codable {
    case full
    case off
  }

  package var transport: Transport
  package var mode: Mode
  package var tokens: Int
  package var geometry: BenchmarkGeometry
  package var placement: Placement
  package var verify: Verify
  /// Nil for the best that the system gives.
  package var pages: Pages?
  /// After this time no round begins once the fewest are done.
  package var seconds: Double
  /// Queue pairs or data connections, those of the bare stream beside it too.
  package var lanes: Int

  /// - Parameters:
  ///   - tokens: of the sequence that is handed over.
  ///   - blockBytes: replaces the geometry's block size; the number of bytes stays.
  ///   - verify: nil for the best that the mode has.
  ///   - lanes: nil for as many as engines have.
  ///
  /// Throws `invalidArgument` for what cannot be.
  package init(
    transport: Transport, mode: Mode, tokens: Int, geometry: BenchmarkGeometry, blockBytes: Int?,
    placement: Placement, verify: Verify?, pages: Pages?, seconds: Double,
    lanes: Int? = nil
  ) throws(BatonError) {
    guard (1...Limits.maximumPromptTokens).contains(tokens) else {
      throw BatonError(
        .invalidArgument, "\(tokens) tokens: 1 to \(Limits.maximumPromptTokens) are allowed")
    }
    guard BenchmarkLimits.seconds.contains(seconds) else {
      throw BatonError(
        .invalidArgument,
        "\(seconds) seconds: \(BenchmarkLimits.seconds.lowerBound) to "
          + "\(BenchmarkLimits.seconds.upperBound) are allowed")
    }
    let lanes = lanes ?? MigrationOptions.defaultLanes
    guard (1...MigrationOptions.maximumLanes).contains(lanes) else {
      throw BatonError(
        .invalidArgument, "\(lanes) lanes: 1 to \(MigrationOptions.maximumLanes) are allowed")
    }
    guard mode == .copy || transport == .shm else {
      throw BatonError(
        .invalidArgument,
        "--mode borrow with --transport \(transport.rawValue): only memory of the same node is "
          + "read in place; --mode copy is right")
    }
    guard mode == .copy || verify != .full else {
      throw BatonError(
        .invalidArgument,
        "--verify full with --mode borrow: what is read in place has its stamps checked and no "
          + "checksums; --verify off is right")
    }
    self.transport = transport
    self.mode = mode
    self.tokens = tokens
    self.geometry =
      try blockBytes.map { (bytes) throws(BatonError) in
        try geometry.withBlocks(of: bytes)
      } ?? geometry
    self.placement = placement
    self.verify = verify ?? (mode == .copy ? .full : .off)
    self.pages = pages
    self.seconds = seconds
    self.lanes = lanes
  }

  package var blocks: Int { geometry.value.blockCount(tokens: tokens) }
  package var blockBytes: ByteCount { geometry.value.blockBytes }
  /// All blocks, the last of which may be partly filled.
  package var bytes: ByteCount { blockBytes * blocks }

  /// Blocks of the pool that is copied into. Borrowing needs none; those of the plain copies that
  /// stand beside it are then used over and over.
  var targetBlocks: Int {
    mode == .copy
      ? blocks : min(blocks, max(1, BenchmarkLimits.borrowTargetBytes / blockBytes.rawValue))
  }

  /// How both processes set the link up.
  var migration: MigrationOptions {
    switch transport {
    case .shm: MigrationOptions(transports: [.sharedMemory])
    case .rdma: MigrationOptions(transports: [.rdma], lanes: lanes)
    case .tcp:
      MigrationOptions(
        transports: [.tcp],
        dataListeners: [.init(host: "127.0.0.1", port: 0, advertisedHost: "127.0.0.1")],
        lanes: lanes)
    }
  }

  /// Throws `resourceExhausted`, with the numbers, for pools that `available` bytes do not hold.
  package func requireMemory(available: ByteCount) throws(BatonError) {
    let needed = bytes + blockBytes * targetBlocks + BenchmarkLimits.spareBytes
    guard needed <= available else {
      throw BatonError(
        .resourceExhausted,
        "the pools take \(bytes) and \(blockBytes * targetBlocks), \(needed) with "
          + "\(BenchmarkLimits.spareBytes) to spare; \(available) are available: take fewer tokens "
          + "or a geometry with fewer layers")
    }
  }
}
