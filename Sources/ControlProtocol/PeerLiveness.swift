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
    /// A frame began so long ago and is not whole yet.
    case unfinished(after: Duration)
  }

  /// How often `tick` is to be called.
  package let interval: Duration
  private let timeout: Duration
  private let frameTimeout: Duration
  private var heard: Instant
  private var ticked: Instant
  private var begun: Instant?
  private var isAsked = false
  private var number: UInt64 = 0

  /// - Parameters:
  ///   - timeout: how long a peer may say nothing; it is asked after a quarter of it.
  ///   - frameTimeout: how long the bytes of one frame may take to come.
  package init(timeout: Duration, frameTimeout: Duration, now: Instant) {
    precondition(timeout > .zero && frameTimeout > .zero, "a time to wait is some time")
    self.timeout = timeout
    self.frameTimeout = frameTimeout
    interval = timeout / 8
    heard = now
    ticked = now
  }

  /// Bytes have come.
  ///
  /// - Parameters:
  ///   - completes: whether they ended a frame.
  ///   - leavesPart: whether a part of a frame is left over.
  package mutating func received(completes: Bool, leavesPart: Bool, now: Instant) {
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
    }
    if let begun, now - begun >= frameTimeout { return .unfinished(after: now - begun) }
    let silence = now - heard
    if silence >= timeout { return .gone(after: silence) }
    guard silence >= timeout / 4, !isAsked else { return .nothing }
    isAsked = true
    number += 1
    return .ping(number)
  }
}
