import KVCore

/// Times of the same thing done many times, and the time that processors spent on it.
struct TimedSamples {
  private(set) var times = Samples()
  private var processors = Duration.zero

  /// - Parameters:
  ///   - clock: the time that processors have spent so far.
  ///   - count: how often `body` is done, one after the other.
  mutating func time(
    _ clock: () -> Duration, count: Int = 1, _ body: () throws(BatonError) -> Void
  ) throws(BatonError) {
    let before = clock()
    for _ in 0..<count {
      let start = ContinuousClock.now
      try body()
      times.add(ContinuousClock.now - start)
    }
    processors += clock() - before
  }

  /// A time that something else has measured.
  mutating func add(_ time: Duration) { times.add(time) }

  /// On average for each.
  var processorTime: Duration { times.count == 0 ? .zero : processors / times.count }
}

/// Times of the same thing done many times.
package struct Samples: Sendable {
  private var nanoseconds: [Int64] = []

  package init() {}

  package var count: Int { nanoseconds.count }

  package mutating func add(_ duration: Duration) {
    let (seconds, attoseconds) = duration.components
    nanoseconds.append(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
  }

  /// The smallest time that at least `fraction` of all are not above (nearest rank); nil of none.
  ///
  /// - Parameter fraction: above 0, at most 1.
  package func percentile(_ fraction: Double) -> Duration? {
    precondition(fraction > 0 && fraction <= 1, "a percentile is a part of the whole")
    guard !nanoseconds.isEmpty else { return nil }
    let rank = Int((fraction * Double(nanoseconds.count)).rounded(.up))
    return .nanoseconds(nanoseconds.sorted()[max(rank, 1) - 1])
  }
}
