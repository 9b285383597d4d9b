import NIOCore

/// The maxima of the HTTP edge.
package enum EdgeLimits {
  /// One request's body: a prompt of `Limits.maximumPromptTokens` token ids in JSON fits.
  package static let maximumBodyBytes = 16 << 20
  /// Tokens of an answer where the client does not say: OpenAI's default.
  package static let defaultMaximumTokens = 16
  /// OpenAI's limit.
  package static let maximumStopStrings = 4
  /// Bytes of one stop string: the text that is held back while it may still come is this long.
  package static let maximumStopStringBytes = 1 << 10
  /// Of one answer, ready but not taken by its reader; a reader further behind is cut off.
  package static let maximumUnreadBytes = 1 << 20
  /// Characters of a client's wrong value that an error message repeats.
  package static let maximumQuotedCharacters = 80
  /// Connections of clients; more wait until one of them is closed.
  static let maximumConnections = 4_096
  /// How long the body of a request that is admitted may take to come.
  static let bodyTime = TimeAmount.seconds(30)
  /// A client is cut off when one write of its answer takes this long, or up to twice that.
  package static let stallTime = Duration.seconds(30)
  /// A connection without a request is closed after this long.
  static let idleTimeout = TimeAmount.seconds(300)
  /// How long answers in progress may go on after the server was told to stop; less than
  /// `ServiceRunner.shutdownTime`, so that their clients can still be told.
  package static let drainTime = Duration.seconds(2)
  /// How often a proxy that is starting looks whether its engines are there.
  static let readinessPollInterval = Duration.milliseconds(20)
  /// What `Retry-After` says where nothing better is known.
  package static let retryAfterSeconds = 1
}
