import KVCore

/// The proxy's named maxima.
package enum ProxyLimits {
  /// How long a request waits for a live route before it is refused, and how long engines may fail
  /// it one after the other.
  package static let routeWaitMilliseconds = 5_000
  /// The pause before a request is started again; doubled for each attempt without
  /// progress, as `RetryPolicy` sees it.
  static let firstRetryMilliseconds = 10
  /// Up to a pause of 640 ms.
  static let maximumRetryDoublings = 6
  static let firstRedialMilliseconds = 25
  static let longestRedialMilliseconds = 1_000
  /// How long an engine may take to send the files of its model.
  static let modelAssetsMilliseconds = 60_000
  /// How long a decode engine may take to set up a link.
  static let linkPrepareMilliseconds = 2 * Limits.linkMilliseconds
  /// How long `/metrics` waits for one engine's figures.
  static let metricsWaitMilliseconds = 2_000
}
