import Foundation
import KVCore
import KVPool
import Testing

@Suite("Fragmentation", .serialized, .timeLimit(.minutes(10)))
struct FragmentationTests {
  /// How long the simulated time is. The figures at `ExtentAllocator` are of a day:
  ///
  ///     TEST_FRAGMENTATION_HOURS=24 swift test -c release --disable-testable-imports \
  ///       --filter FragmentationTests
  private static let hours =
    ProcessInfo.processInfo.environment["TEST_FRAGMENTATION_HOURS"].flatMap { Double($0) } ?? 0.5

  /// 2^20 tokens: 128 GiB for a model of 8 billion parameters.
  private static let capacity = 65_536

  @Test(
    "However full the pool, a prompt's blocks come in a few runs, and at night all are one again",
    arguments: RequestDay.Handoff.allCases, [(0.5, 2, 6), (0.8, 4, 30), (0.95, 12, 90)])
  func simulatedDay(handoff: RequestDay.Handoff, level: (load: Double, mean: Int, p99: Int)) {
    var day = RequestDay(
      handoff: handoff, capacity: Self.capacity, load: level.load, seed: 20_250_225)
    let outcome = day.run(hours: Self.hours)
    print(Self.line(handoff, level.load, outcome))
    #expect(outcome.runs.count == outcome.requests)
    #expect(outcome.requests > 1_000)
    #expect(outcome.wrong == 0)
    #expect(outcome.freeRunsAtEnd == 1)
    #expect(abs(outcome.meanOccupancy - level.load) < 0.1, "the pool is as full as it should be")
    #expect(outcome.meanRuns <= Double(level.mean))
    #expect(outcome.runs(percentile: 99) <= level.p99)
  }

  private static func line(
    _ handoff: RequestDay.Handoff, _ load: Double, _ outcome: RequestDay.Outcome
  ) -> String {
    let requests = Double(outcome.requests)
    return String(
      format: "%@ at %.0f %%: %d requests, %.1f %% waited, occupied %.1f %%; runs mean %.2f p50 %d "
        + "p99 %d max %d; free runs mean %.1f max %d, largest %.0f %% of what is free; "
        + "allocate %.0f ns, free %.0f ns",
      handoff.rawValue, load * 100, outcome.requests, Double(outcome.waited) / requests * 100,
      outcome.meanOccupancy * 100, outcome.meanRuns, outcome.runs(percentile: 50),
      outcome.runs(percentile: 99), outcome.runs.max() ?? 0, outcome.meanFreeRuns,
      outcome.mostFreeRuns, outcome.meanLargestFreeShare * 100,
      outcome.allocateNanoseconds / requests, outcome.freeNanoseconds / requests)
  }

  @Test(
    "In the worst case, every other block free, an allocation has a run for each block and no more",
    arguments: [1 << 12, 1 << 16, 1 << 20])
  func worstCase(capacity: Int) {
    var allocator = ExtentAllocator(capacity: capacity)
    _ = allocator.allocate(capacity)
    var start = ContinuousClock.now
    for block in stride(from: 0, to: capacity, by: 2) {
      allocator.free(BlockRange(first: BlockIndex(UInt32(block)), count: 1))
    }
    let freeing = (ContinuousClock.now - start) / capacity * 2
    #expect(allocator.freeRuns.count == capacity / 2)
    start = ContinuousClock.now
    let single = allocator.allocate(1) ?? []
    let one = ContinuousClock.now - start
    start = ContinuousClock.now
    let taken = allocator.allocate(752) ?? []
    print(
      "every other of \(capacity) blocks free: 752 blocks \(ContinuousClock.now - start), "
        + "1 block \(one), free \(freeing)")
    #expect(single.count == 1)
    #expect(taken.count == 752)
    for range in taken + single { allocator.free(range) }
    #expect(allocator.freeRuns.count == capacity / 2)
    let tooMany = allocator.allocate(capacity / 2 + 1)
    #expect(tooMany == nil)
    let all = allocator.allocate(capacity / 2)
    #expect(all?.count == capacity / 2)
  }
}
