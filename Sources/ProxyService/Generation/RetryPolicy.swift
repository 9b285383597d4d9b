package import KVCore

/// Decides whether a request whose attempt has failed is started again.
///
/// Engines die for reasons of their own, several in a row when a node goes down, and that must cost
/// the client nothing; but a request may also be what kills its engines. So attempts without
/// progress are few, unless they fail within the time in which an engine comes back.
package struct RetryPolicy: Sendable {
  package typealias Instant = ContinuousClock.Instant

  /// Attempts that failed since there was progress.
  private var fruitless = 0
  /// When the first of those failed.
  private var firstFailure: Instant?
  private var progress = 0

  package init() {}

  /// How long to wait before the next attempt; nil when there must be none.
  ///
  /// - Parameters:
  ///   - error: what the attempt failed with.
  ///   - hasBegun: whether the client has a part of the answer.
  ///   - progress: tokens that engines have decoded for the request by now.
  package mutating func pause(
    after error: BatonError, hasBegun: Bool, progress: Int, now: Instant
  ) -> Duration? {
    // A full engine is the client's to hear of, unless it has begun to read an answer.
    guard error.isRetryable, error.code != .resourceExhausted || hasBegun else { return nil }
    if progress > self.progress {
      self.progress = progress
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
