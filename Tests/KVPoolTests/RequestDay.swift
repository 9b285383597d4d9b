import Foundation
import KVCore
import KVPool
import TestSupport

/// Requests as a busy deployment sees them, in simulated time, and a pool that they share.
///
/// Lengths are those of the conversation trace of Mooncake (Qin et al., FAST '25): prompts of
/// 12,035 tokens in the mean, 6,909 in the median and 85,399 at the 99th percentile, answers of 343
/// in the mean. Prompts are drawn from the lognormal distribution that has that median and that
/// mean, so mu = ln 6,909 and sigma^2 = 2 ln(12,035 / 6,909); its 99th percentile is 80,100, 6 %
/// below the trace's. Answers are drawn from the exponential distribution of that mean. Both are
/// cut off at a context of 131,072 tokens. Requests come as a Poisson process, and each proceeds at
/// the speed of a large accelerator with a model of 8 billion parameters (128 KiB of KV a token).
struct RequestDay {
  /// For how long prefill keeps a request's blocks.
  enum Handoff: String, CaseIterable {
    /// Until decode has copied them.
    case copy
    /// Until the answer is written.
    case borrow
  }

  struct Request {
    let blocks: Int
    let hold: Double
  }

  /// What came of a day.
  struct Outcome {
    var requests = 0
    /// Runs of each allocation.
    var runs: [Int] = []
    /// Allocations that came with another number of blocks than was asked for.
    var wrong = 0
    /// Of the pool, by the time that passed.
    var meanOccupancy = 0.0
    var meanFreeRuns = 0.0
    var mostFreeRuns = 0
    /// The largest free run as a part of all free blocks.
    var meanLargestFreeShare = 0.0
    /// Requests that had to wait for blocks.
    var waited = 0
    /// Real nanoseconds.
    var allocateNanoseconds = 0.0
    var freeNanoseconds = 0.0
    /// In the end, when everything is free.
    var freeRunsAtEnd = 0

    var meanRuns: Double { Double(runs.reduce(0, +)) / Double(max(1, runs.count)) }

    func runs(percentile: Int) -> Int {
      runs.isEmpty ? 0 : runs.sorted()[min(runs.count - 1, runs.count * percentile / 100)]
    }
  }

  static let blockTokens = 16
  private static let contextTokens = 131_072.0
  private static let logMedian = log(6_909.0)
  private static let logDeviation = (2 * log(12_035.0 / 6_909.0)).squareRoot()
  private static let meanAnswerTokens = 343.0
  private static let prefillTokensPerSecond = 20_000.0
  /// At 20 GB/s.
  private static let transferTokensPerSecond = 150_000.0
  private static let secondsPerAnswerToken = 0.02

  let handoff: Handoff
  let capacity: Int
  /// The part of the pool that would be taken in the mean if nobody had to wait.
  let load: Double
  var generator: SplitMix64

  init(handoff: Handoff, capacity: Int, load: Double, seed: UInt64) {
    self.handoff = handoff
    self.capacity = capacity
    self.load = load
    generator = SplitMix64(seed: seed)
  }

  mutating func next() -> Request {
    let tokens = min(
      Self.contextTokens, exp(Self.logMedian + Self.logDeviation * normal()).rounded(.up))
    let answer = min(Self.contextTokens, exponential(mean: Self.meanAnswerTokens))
    let transfer = tokens / Self.prefillTokensPerSecond + tokens / Self.transferTokensPerSecond
    return Request(
      blocks: (Int(tokens) + Self.blockTokens - 1) / Self.blockTokens,
      hold: transfer + (handoff == .borrow ? answer * Self.secondsPerAnswerToken : 0))
  }

  private mutating func exponential(mean: Double) -> Double {
    -mean * log(Double.random(in: Double.leastNonzeroMagnitude..<1, using: &generator))
  }

  /// By Box and Muller (1958).
  private mutating func normal() -> Double {
    let radius = exponential(mean: 2).squareRoot()
    return radius * cos(2 * .pi * Double.random(in: 0..<1, using: &generator))
  }

  /// Runs a time of requests through a pool, those that find no room waiting in order, and then
  /// until the last of them has given its blocks back.
  mutating func run(hours: Double) -> Outcome {
    let end = hours * 3_600
    var allocator = ExtentAllocator(capacity: capacity)
    var outcome = Outcome()
    let secondsBetween = meanBlockSeconds() / (load * Double(capacity))
    var now = 0.0
    var nextArrival = exponential(mean: secondsBetween)
    var waiting: ArraySlice<Request> = []
    var held = ReleaseQueue()
    while nextArrival < end || !waiting.isEmpty || !held.isEmpty {
      let isArrival = nextArrival < end && nextArrival <= held.nextTime
      let time = isArrival ? nextArrival : held.nextTime
      outcome.observe(allocator, for: min(time, end) - min(now, end))
      now = time
      if isArrival {
        waiting.append(next())
        outcome.requests += 1
        nextArrival += exponential(mean: secondsBetween)
      } else {
        outcome.free(held.removeFirst(), in: &allocator)
      }
      let before = outcome.runs.count
      while let request = waiting.first,
        let blocks = outcome.allocate(request.blocks, in: &allocator)
      {
        waiting.removeFirst()
        held.add(blocks, until: now + request.hold)
      }
      if isArrival, outcome.runs.count == before { outcome.waited += 1 }
    }
    outcome.meanOccupancy /= end
    outcome.meanFreeRuns /= end
    outcome.meanLargestFreeShare /= end
    outcome.freeRunsAtEnd = allocator.freeRuns.count
    return outcome
  }

  /// What one request takes of a pool in the mean, by a sample.
  private func meanBlockSeconds() -> Double {
    var sample = self
    let count = 50_000
    return (0..<count).reduce(0.0) { sum, _ in
      let request = sample.next()
      return sum + Double(request.blocks) * request.hold
    } / Double(count)
  }
}

extension RequestDay.Outcome {
  fileprivate mutating func observe(_ allocator: ExtentAllocator, for seconds: Double) {
    let free = allocator.freeCount
    meanOccupancy += seconds * Double(allocator.capacity - free) / Double(allocator.capacity)
    meanFreeRuns += seconds * Double(allocator.freeRuns.count)
    mostFreeRuns = max(mostFreeRuns, allocator.freeRuns.count)
    meanLargestFreeShare +=
      seconds * (free == 0 ? 1 : Double(allocator.largestFreeRun) / Double(free))
  }

  fileprivate mutating func allocate(
    _ count: Int, in allocator: inout ExtentAllocator
  ) -> [BlockRange]? {
    let start = ContinuousClock.now
    let taken = allocator.allocate(count)
    let time = ContinuousClock.now - start
    guard let taken else { return nil }
    allocateNanoseconds += time / .nanoseconds(1)
    runs.append(taken.count)
    if taken.blockCount != count { wrong += 1 }
    return taken
  }

  fileprivate mutating func free(_ ranges: [BlockRange], in allocator: inout ExtentAllocator) {
    let start = ContinuousClock.now
    for range in ranges { allocator.free(range) }
    freeNanoseconds += (ContinuousClock.now - start) / .nanoseconds(1)
  }
}

/// What is held, by the time at which it comes back: a binary heap.
private struct ReleaseQueue {
  private var entries: [(time: Double, blocks: [BlockRange])] = []

  var isEmpty: Bool { entries.isEmpty }
  var nextTime: Double { entries.first?.time ?? .infinity }

  mutating func add(_ blocks: [BlockRange], until time: Double) {
    entries.append((time, blocks))
    var child = entries.count - 1
    while child > 0, entries[child].time < entries[(child - 1) / 2].time {
      entries.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func removeFirst() -> [BlockRange] {
    entries.swapAt(0, entries.count - 1)
    let first = entries.removeLast()
    var parent = 0
    while true {
      let smallest = [parent, 2 * parent + 1, 2 * parent + 2]
        .filter { $0 < entries.count }
        .min { entries[$0].time < entries[$1].time }
      guard let smallest, smallest != parent else { return first.blocks }
      entries.swapAt(parent, smallest)
      parent = smallest
    }
  }
}
