package import KVCore
package import KVPool
import Synchronization

/// Gives out a pool's blocks in the order of asking; who does not find enough waits for its turn.
package final class BlockReserver: Sendable {
  private struct Waiter {
    let number: Int
    let blocks: Int
    let continuation: CheckedContinuation<[BlockRange], any Error>
  }

  private struct State {
    var waiters: [Waiter] = []
    var nextNumber = 0
  }

  private let pool: KVPool
  private let state = Mutex(State())

  package init(pool: KVPool) { self.pool = pool }

  /// Requests that wait for blocks.
  package var waiting: Int { state.withLock { $0.waiters.count } }

  /// Reserves blocks for one sequence.
  ///
  /// Throws `BatonError`: `invalidArgument` when the pool is smaller than that, `resourceExhausted`
  /// when too many wait already; `CancellationError` when cancelled while waiting.
  package func reserve(blocks: Int) async throws -> [BlockRange] {
    guard blocks <= pool.blockCount else {
      throw BatonError(
        .invalidArgument,
        "the request needs \(blocks) KV blocks and the engine's pool has \(pool.blockCount); "
          + "shorten it or start the engine with a larger --kv-blocks")
    }
    let number = state.withLock { state in
      state.nextNumber += 1
      return state.nextNumber
    }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        enqueue(Waiter(number: number, blocks: blocks, continuation: continuation))
      }
    } onCancel: {
      cancel(number)
    }
  }

  /// Gives blocks back and serves those who wait.
  package func release(_ ranges: [BlockRange]) {
    pool.free(ranges)
    serve()
  }

  private func enqueue(_ waiter: Waiter) {
    let isFull = state.withLock { state in
      guard state.waiters.count < Limits.maximumQueuedRequestsPerEngine else { return true }
      state.waiters.append(waiter)
      return false
    }
    if isFull {
      waiter.continuation.resume(
        throwing: BatonError(
          .resourceExhausted,
          "\(Limits.maximumQueuedRequestsPerEngine) requests wait for KV blocks already",
          retryAfterMilliseconds: 1_000))
    } else if Task.isCancelled {
      cancel(waiter.number)
    } else {
      serve()
    }
  }

  private func serve() {
    var served: [(Waiter, [BlockRange])] = []
    state.withLock { state in
      while let first = state.waiters.first, let ranges = try? pool.allocate(blocks: first.blocks) {
        served.append((first, ranges))
        state.waiters.removeFirst()
      }
    }
    for (waiter, ranges) in served { waiter.continuation.resume(returning: ranges) }
  }

  private func cancel(_ number: Int) {
    let waiter = state.withLock { state in
      state.waiters.firstIndex { $0.number == number }.map { state.waiters.remove(at: $0) }
    }
    guard let waiter else { return }
    waiter.continuation.resume(throwing: CancellationError())
    serve()
  }
}
