package import KVCore

/// Decides whether a request whose attempt has failed is started again.
///
/// Engines die for reasons of their own, several in a row when a node goes down, and that must cost
/// the client nothing; but a request may also be what kills its engines. So attempts without a new
/// token are few, unless they fail within the time in which an engine comes back.
package struct RetryPolicy: Sendable {
  package typealias Instant = ContinuousClock.Instant

  /// Attempts that failed since the last token came.
  private var fruitless = 0
  /// When the first of those failed.
  private var firstFailure: Instant?
  /// Tokens of the answer when the last attempt failed.
  private var delivered = 0

  package init() {}

  /// How long to wait before the next attempt; nil when there must be none.
  ///
  /// - Parameters:
  ///   - error: what the attempt failed with.
  ///   - delivered: tokens of the answer that the client has by now.
  package mutating func pause(
    after error: BatonError, delivered: Int, now: Instant
  ) -> Duration? {
    // A full engine is the client's to hear of, unless it has begun to read an answer.
    guard error.isRetryable, error.code != .resourceExhausted || delivered > 0 else { return nil }
    if delivered > self.delivered {
      self.delivered = delivered
      fruitless = 0
      firstFailure = nil
    }
    fruitless += 1
    let start = firstFailure ?? now
    firstFailure = start
    guard
      fruitless < Limits.maximumAttempts
        || now - start < .milliseconds(ProxyLimits.routeWaitMilliseconds)
    else { return nil }
    let doublings = min(fruitless - 1, ProxyLimits.maximumRetryDoublings)
    return .milliseconds(ProxyLimits.firstRetryMilliseconds << doublings)
  }
}
