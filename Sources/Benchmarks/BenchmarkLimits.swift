import KVCore

/// The named maximum of everything that a benchmark takes.
enum BenchmarkLimits {
  /// Rounds of one benchmark: so few at least that a median and its spread are there.
  static let rounds = 10...2_000
  /// How long rounds may begin.
  static let seconds = 0.0...60.0
  /// Migrations of one round where one takes no time worth speaking of beside a plain copy.
  static let borrowsPerRound = 16
  /// Copies of one round where a device brings so little that it is asked again before it rests.
  static let shortReadsPerRound = 100
  static let shortReadBytes = 64 << 10
  /// What the plain copies beside borrowing go to.
  static let borrowTargetBytes = 256 << 20
  /// What is left to the machine's other processes.
  static let spareBytes = ByteCount.mebibytes(512)
  /// Blocks of a pool are filled and checked word by word.
  static let wordBytes = MemoryLayout<UInt64>.size
  /// Batches of one message that is encoded and decoded.
  static let codecBatches = 101
  /// Rounds of encoding and decoding metadata, and about how many bytes each does.
  static let metadataRounds = 21
  static let metadataBatchBytes = 64 << 10
  /// Rounds of round trips, in turns with the echo.
  static let roundTripRounds = 11
  /// Round trips of one round, for each that is on its way at once.
  static let roundTripsPerRound = 1_000
  static let tokenChunks = 200_000
  /// How long a bare stream may bring nothing.
  static let streamMilliseconds: UInt32 = 5_000
}
