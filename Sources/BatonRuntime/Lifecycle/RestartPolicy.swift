import Foundation

/// Decides what becomes of a supervised process that has ended.
package struct RestartPolicy: Sendable {
  /// How a process ended.
  package enum Ending: Hashable, Sendable, CustomStringConvertible {
    case exited(code: Int32)
    case signalled(Int32)

    package var description: String {
      switch self {
      case .exited(let code): "exit code \(code)"
      case .signalled(let signal): "signal \(signal)"
      }
    }

    /// Whether somebody sent the process a signal that ends processes, rather than a fault of its
    /// own (signal(7)).
    fileprivate var isMeant: Bool {
      switch self {
      case .exited: false
      case .signalled(let signal): [SIGHUP, SIGINT, SIGKILL, SIGTERM].contains(signal)
      }
    }
  }

  package enum Decision: Hashable, Sendable {
    case restart(after: Duration)
    /// It fails as soon as it is started and always has: starting it again will not help.
    case giveUp
    /// It says itself that its configuration is wrong.
    case giveUpConfiguration
  }

  /// A process that has run for this long has started well.
  package static let settledAfter = Duration.seconds(5)
  /// Failures in a row at the start after which a process that never settled is given up.
  package static let maximumFailuresAtStart = 3
  package static let firstDelay = Duration.milliseconds(100)
  package static let maximumDelay = Duration.seconds(5)

  private var hasSettled = false
  private var failuresAtStart = 0
  private var delay = firstDelay

  package init() {}

  /// A process that has started well once, or that somebody killed, is started for as long as it
  /// takes: what it refuses now, for example for want of memory, it may find later, and the others
  /// go on meanwhile.
  package mutating func decide(_ ending: Ending, after running: Duration) -> Decision {
    if running >= Self.settledAfter {
      hasSettled = true
      delay = Self.firstDelay
    }
    if ending.isMeant { hasSettled = true }
    if !hasSettled {
      if case .exited(let code) = ending, let status = ExitStatus(rawValue: code),
        status != .failure
      {
        return .giveUpConfiguration
      }
      failuresAtStart += 1
      if failuresAtStart >= Self.maximumFailuresAtStart { return .giveUp }
    }
    defer { delay = min(delay * 2, Self.maximumDelay) }
    return .restart(after: delay)
  }
}
