import Foundation

/// Runs a test over inputs made from seeds: as many as the test says, or for a time by hand.
///
///     BATON_FUZZ_SECONDS=600 Tools/test --filter Fuzz
///
/// runs each fuzz test for 600 s instead; BATON_FUZZ_SEED=N starts at another seed than 1, so that
/// longer runs see new inputs and a failing one, whose seed is in the failure, can be repeated with
/// BATON_FUZZ_INPUTS=1.
package struct Fuzzing: Sendable {
  /// A guard against hanging that leaves room for what was asked for.
  package static let timeLimitMinutes = 1 + (seconds ?? 0) / 60 + (seconds == nil ? 0 : 1)

  private static let seconds = variable("BATON_FUZZ_SECONDS")

  private static func variable(_ name: String) -> Int? {
    ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
  }

  private let name: String
  private let firstSeed: UInt64
  private let inputs: Int
  private let duration: Duration?

  /// `name` and the number of inputs are printed at the end.
  package init(_ name: String, inputs: Int) {
    self.name = name
    firstSeed = UInt64(max(0, Self.variable("BATON_FUZZ_SEED") ?? 1))
    duration = Self.seconds.map { .seconds($0) }
    self.inputs = Self.variable("BATON_FUZZ_INPUTS") ?? inputs
  }

  /// Between two inputs other tests have their turn: all share a few threads, and some of them
  /// must answer in time.
  package func run(_ body: (_ seed: UInt64) async throws -> Void) async rethrows {
    var seed = firstSeed
    let start = ContinuousClock.now
    while goesOn(seed, since: start) {
      try await body(seed)
      await Task.yield()
      seed += 1
    }
    report(seed)
  }

  private func goesOn(_ seed: UInt64, since start: ContinuousClock.Instant) -> Bool {
    guard let duration else { return seed < firstSeed + UInt64(inputs) }
    return start.duration(to: .now) < duration
  }

  private func report(_ end: UInt64) {
    print("fuzz \(name): \(end - firstSeed) inputs from seed \(firstSeed)")
  }
}
