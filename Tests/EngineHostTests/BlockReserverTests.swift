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
