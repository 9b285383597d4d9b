import KVCore

/// The named maximum of everything in this module that a peer can make grow, or make wait.
enum MigrationLimits {
  /// Links of one engine.
  static let maximumLinks = 1_024
  /// Regions of one side of one link.
  static let maximumRegions = 64
  /// Connections to the descriptor server that have not asked yet; the oldest makes room.
  static let maximumWaitingConnections = 64
  /// How long such a connection may say nothing.
  static let requestMilliseconds: UInt32 = 1_000
  /// How long each step of fetching a descriptor may take: connecting, sending, the answer.
  static let fetchMilliseconds: UInt32 = 2_000
  /// How long the server takes no connections after the system had no room for one.
  static let acceptPauseMilliseconds: UInt32 = 100
  /// Wake-ups for a peer's liveness word that has not changed, after which it is not waited for.
  static let maximumIdleWakes = 64
  /// From here on a batch is copied past the caches: about twice what a core's own cache holds
  /// today, of which little would be left there when the last byte is copied.
  static let pastCachesBytes = ByteCount.mebibytes(4)

  // Data connections over TCP.

  /// Data connections that have not proven themselves yet; the oldest makes room.
  static let maximumStrangers = 64
  /// Data connections of all links of one engine, each with a thread.
  static let maximumDataConnections = 1_024
  /// How long each step of a data connection's handshake may take.
  static let handshakeMilliseconds: UInt32 = 2_000
  /// What one request asks for at most, but for a block that is longer: enough that asking costs
  /// nothing, and not so much that the end of a lease waits long for it.
  static let requestBytes = 1 << 20
  /// The most that an owner sends for one request: the longest block that there may be.
  static let maximumRequestBytes = 1 << 30
  /// Extents of one request; fewer than the parts of one system call, which also sends a header.
  static let maximumRequestExtents = 512
  /// Requests that a reader has sent on one connection and not had the answer of: the owner always
  /// has the next one.
  static let requestsInFlight = 2
  /// What is received before it is hashed: little enough to be in the core's own cache still, and
  /// enough that a system call brings many short blocks.
  static let hashedBytes = 256 << 10

  // RDMA.

  /// READs that one lane has outstanding at most, and its queue pair room for.
  static let rdmaRequests = 128
  /// READs that a device works on at once for one queue pair; many devices allow 16.
  static let rdmaReads = 16
  /// One READ of a large plan, but for a block that is verified and longer: as much as keeps a
  /// device busy, and not so much that its READs at once are few.
  static let rdmaPieceBytes = 256 << 10
  static let rdmaSmallestPieceBytes = 64 << 10
  /// Pieces that a lane should have of a plan at least, where they do not get too small.
  static let rdmaPiecesPerLane = 4
  /// A reader keeps the memory for so many pieces, some 100 KiB, for the next plan.
  static let rdmaPiecesKept = 1_024
  /// One in so many READs of a chain has a completion, and the last.
  static let rdmaSignalEvery = 8
  /// How often a reader polls for completions in vain before it sleeps, some 100 us, and how often
  /// it looks each time where there is one queue.
  static let rdmaPolls = 250
  static let rdmaLooks = 8
  /// How long it sleeps at once: what a lost wake-up would cost.
  static let rdmaSleepMilliseconds: UInt32 = 100
  /// How long a device may take to bind or invalidate windows, which it does in microseconds.
  static let windowMilliseconds = 1_000
  /// Threads that pin the parts of one pool side by side.
  static let pinningThreads = 8
  /// How long it may take to READ some bytes over each lane when it is connected.
  static let proofMilliseconds = 1_000
  /// How long a reader whose ticket was taken back has to say that it is done with it, before its
  /// windows are closed, or the queue pairs of its link.
  static let readerGraceMilliseconds = 1_000

  // Shared memory.

  /// 128 random bits open the descriptor server once.
  static let tokenBytes = 16
}
