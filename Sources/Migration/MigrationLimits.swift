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
  /// 128 random bits open the descriptor server once.
  static let tokenBytes = 16
}
