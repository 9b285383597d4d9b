import EngineHost
import KVCore
import KVPool
import Testing

@Suite("Block reservation", .timeLimit(.minutes(1)))
struct BlockReserverTests {
  private static func makePool(blocks: Int) throws -> KVPool {
    try KVPool(
      geometry: KVGeometry(
        blockTokens: 16,
        groups: [CacheGroup(layers: 1, keyValueHeads: 1, headDimension: 16, dataType: .float32)]),
      blockCount: blocks)
  }

  @Test("Who does not find enough blocks waits, and those who wait are served in order")
  func waitsInOrder() async throws {
    let reserver = BlockReserver(pool: try Self.makePool(blocks: 8))
    let first = try await reserver.reserve(blocks: 6)
    // A large request waits; a small one that would fit does not overtake it.
    let large = Task { try await reserver.reserve(blocks: 5) }
    while reserver.waiting < 1 { await Task.yield() }
    let small = Task { try await reserver.reserve(blocks: 2) }
    while reserver.waiting < 2 { await Task.yield() }
    reserver.release(first)
    #expect(try await large.value.blockCount == 5)
    #expect(try await small.value.blockCount == 2)
    #expect(reserver.waiting == 0)
  }

  @Test("A cancelled wait ends at once and lets the next one through")
  func cancelledWait() async throws {
    let reserver = BlockReserver(pool: try Self.makePool(blocks: 4))
    let held = try await reserver.reserve(blocks: 2)
    let large = Task { try await reserver.reserve(blocks: 4) }
    while reserver.waiting < 1 { await Task.yield() }
    let small = Task { try await reserver.reserve(blocks: 2) }
    while reserver.waiting < 2 { await Task.yield() }
    large.cancel()
    await #expect(throws: CancellationError.self) { try await large.value }
    let blocks = try await small.value
    #expect(blocks.blockCount == 2)
    reserver.release(blocks)
    reserver.release(held)
  }

  @Test("Who waits too long is told when to come back, and those behind are served")
  func waitsTooLong() async throws {
    let pool = try Self.makePool(blocks: 8)
    let reserver = BlockReserver(pool: pool, longestWait: .milliseconds(1))
    let held = try await reserver.reserve(blocks: 6)
    await #expect {
      try await reserver.reserve(blocks: 5)
    } throws: { error in
      let error = BatonError(wrapping: error)
      return error.code == .resourceExhausted && error.isRetryable
        && error.retryAfterMilliseconds == 1_000 && error.message.contains("5 KV blocks")
        && error.message.contains("has 8")
    }
    #expect(reserver.waiting == 0)
    #expect(try await reserver.reserve(blocks: 2).blockCount == 2)
    reserver.release(held)
    #expect(pool.statistics.used == 2)
  }

  @Test("One more than may wait is refused at once, and what the others wait for is known")
  func tooManyWait() async throws {
    let reserver = BlockReserver(pool: try Self.makePool(blocks: 4))
    let held = try await reserver.reserve(blocks: 4)
    let waits = AsyncStream<Void>.makeStream()
    let waiters = (0..<Limits.maximumQueuedRequestsPerEngine).map { _ in
      Task { try await reserver.reserve(blocks: 2) { waits.continuation.yield() } }
    }
    var begun = waits.stream.makeAsyncIterator()
    for _ in waiters { await begun.next() }
    #expect(reserver.waitingBlocks == 2 * waiters.count)
    await #expect {
      try await reserver.reserve(blocks: 1)
    } throws: { error in
      let error = BatonError(wrapping: error)
      return error.code == .resourceExhausted && error.retryAfterMilliseconds != nil
    }
    for waiter in waiters { waiter.cancel() }
    for waiter in waiters { _ = await waiter.result }
    #expect(reserver.waitingBlocks == 0)
    reserver.release(held)
  }

  @Test("What can never fit is refused at once with both numbers")
  func neverFits() async throws {
    let reserver = BlockReserver(pool: try Self.makePool(blocks: 4))
    await #expect {
      try await reserver.reserve(blocks: 5)
    } throws: { error in
      let error = BatonError(wrapping: error)
      return error.code == .invalidArgument && error.message.contains("5 KV blocks")
        && error.message.contains("has 4")
    }
  }
}
