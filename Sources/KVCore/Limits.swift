/// The named maximum of every queue, frame, pool, table and retry.
///
/// The relations between them are checked by `KVCoreTests`.
package enum Limits {
  /// DESIGN: payload bytes of one frame on the wire.
  package static let maximumFramePayloadBytes = 256 << 10
  /// Payload bytes of one frame before the handshake is complete.
  package static let maximumHandshakePayloadBytes = 16 << 10
  /// One message, put together from the frames that it was split over.
  package static let maximumMessageBytes = 16 << 20
  /// Streams that one side of one connection may have open at once.
  package static let maximumStreamsPerConnection = 4_096
  /// Links that live with one connection; a decode engine opens one.
  package static let maximumLinksPerConnection = 8
  /// The longest time that a request may be given: a day.
  package static let maximumDeadlineMilliseconds = 86_400_000
  /// Connections that one service accepts at once.
  package static let maximumConnections = 1_024
  /// Connections that one service has beside those, of which it does not know yet whose they are.
  package static let maximumStrangers = 128

  package static let maximumEngineNameBytes = 64
  package static let maximumPromptTokens = 1 << 20
  /// Blocks that one `PrefillProgress` speaks of.
  package static let maximumProgressBlocks = 1 << 17
  /// Blocks of one pool.
  package static let maximumPoolBlocks = 1 << 24
  /// One file of `ModelAssets`; less than a connection may hold unwritten.
  package static let maximumModelAssetBytes = 48 << 20

  /// Reports of prefill's progress that wait in decode for its own blocks.
  package static let maximumWaitingProgress = 65_536
  /// How long decode waits for prefill's side of a link that it sets up.
  package static let linkMilliseconds = 5_000
  /// How long after a transport has failed decode tries to replace the link; twice as long each
  /// time after, up to the maximum.
  package static let linkRepairMilliseconds = 1_000
  package static let maximumLinkRepairMilliseconds = 60_000
  /// How often it looks whether a link that was replaced is still used.
  package static let linkRetirementMilliseconds = 1_000
  /// How long prefill keeps blocks for a ticket that is neither released nor renewed.
  package static let leaseMilliseconds = 30_000
  /// How often decode renews what it borrows.
  package static let leaseRenewalMilliseconds = 10_000

  /// How long decode has to answer that it takes over what prefill wants back.
  package static let recallMilliseconds = 5_000
  /// How long prefill, when it stops, waits for what it has lent; less than a process that is told
  /// to stop is given.
  package static let drainMilliseconds = 3_000
  /// How long a request may wait for KV blocks before it is refused.
  package static let maximumBlockWaitMilliseconds = 60_000
  /// Requests that wait in one engine for their turn.
  package static let maximumQueuedRequestsPerEngine = 1_024
  /// Threads that compute in one engine; the kernels' thread team has room for as many.
  package static let maximumThreadsPerEngine = 64
  /// Sequences that one decode engine advances in one step.
  package static let maximumBatchSequences = 64
  /// Attempts in a row at one request that may fail without a token from decode, however long
  /// they take.
  package static let maximumAttempts = 4
}
