/// Whether a silent peer is still there: a state machine without a clock.
///
/// A peer that says nothing is asked, and one that says nothing all the same is gone. Time in which
/// this side did not run does not count: whoever is stopped or starved has no right to complain.
package struct PeerLiveness: Sendable {
  package typealias Instant = ContinuousClock.Instant

  package enum Action: Hashable, Sendable {
    case nothing
    /// Send a ping with this number.
    case ping(UInt64)
    /// The peer is gone: nothing came in so long.
    case gone(after: Duration)
    /// A frame, or a message in several, began so long ago and is not whole yet.
    case unfinished(after: Duration)
  }

  /// How often `tick` is to be called.
  package let interval: Duration
  private let timeout: Duration
  private let frameTimeout: Duration
  private let messageTimeout: Duration
  private var heard: Instant
  private var ticked: Instant
  private var begun: Instant?
  /// Since when there has been an unfinished message all the time.
  private var unfinishedSince: Instant?
  private var isAsked = false
  private var number: UInt64 = 0

  /// - Parameters:
  ///   - timeout: how long a peer may say nothing; it is asked after a quarter of it.
  ///   - frameTimeout: how long the bytes of one frame may take to come.
  ///   - messageTimeout: how long there may be unfinished messages without a moment in between.
  ///   - longestInterval: how often `tick` is called at least, whatever the timeout.
  package init(
    timeout: Duration, frameTimeout: Duration, messageTimeout: Duration,
    longestInterval: Duration, now: Instant
  ) {
    precondition(timeout > .zero && frameTimeout > .zero, "a time to wait is some time")
    self.timeout = timeout
    self.frameTimeout = frameTimeout
    self.messageTimeout = messageTimeout
    interval = min(timeout / 8, longestInterval)
    heard = now
    ticked = now
  }

  /// Bytes have come.
  ///
  /// - Parameters:
  ///   - completes: whether they ended a frame.
  ///   - leavesPart: whether a part of a frame is left over.
  ///   - leavesMessages: whether there are unfinished messages.
  package mutating func received(
    completes: Bool, leavesPart: Bool, leavesMessages: Bool = false, now: Instant
  ) {
    unfinishedSince = leavesMessages ? unfinishedSince ?? now : nil
    heard = now
    isAsked = false
    if !leavesPart {
      begun = nil
    } else if completes || begun == nil {
      begun = now
    }
  }

  /// Some time has passed.
  package mutating func tick(now: Instant) -> Action {
    let missed = now - ticked - interval * 2
    ticked = now
    if missed > .zero {
      heard += missed
      begun? += missed
      unfinishedSince? += missed
    }
    if let begun, now - begun >= frameTimeout { return .unfinished(after: now - begun) }
    if let unfinishedSince, now - unfinishedSince >= messageTimeout {
      return .unfinished(after: now - unfinishedSince)
    }
    let silence = now - heard
    if silence >= timeout { return .gone(after: silence) }
    guard silence >= timeout / 4, !isAsked else { return .nothing }
    isAsked = true
    number += 1
    return .ping(number)
  }
}
