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
  private let longestWait: Duration
  private let state = Mutex(State())

  /// - Parameter longestWait: how long a request may wait for its blocks.
  package init(
    pool: KVPool,
    longestWait: Duration = .milliseconds(Limits.maximumBlockWaitMilliseconds)
  ) {
    self.pool = pool
    self.longestWait = longestWait
  }

  /// Requests that wait for blocks.
  package var waiting: Int { state.withLock { $0.waiters.count } }

  /// Blocks that they wait for, all together.
  package var waitingBlocks: Int {
    state.withLock { $0.waiters.reduce(0) { $0 + $1.blocks } }
  }

  /// Reserves blocks for one sequence.
  ///
  /// - Parameter whenWaiting: called when the blocks are not free at once.
  ///
  /// Throws `BatonError`: `invalidArgument` when the pool is smaller than that, `resourceExhausted`
  /// when too many wait already or the wait is too long; `CancellationError` when cancelled while
  /// waiting.
  package func reserve(
    blocks: Int, whenWaiting: @Sendable () -> Void = {}
  ) async throws -> [BlockRange] {
    guard blocks <= pool.blockCount else {
      throw BatonError(
        .invalidArgument,
        "the request needs \(blocks) KV blocks and the engine's pool has \(pool.blockCount); "
          + "shorten it or start the engine with a larger --kv-blocks")
    }
    if let ranges = takeAtOnce(blocks) { return ranges }
    let number = state.withLock { state in
      state.nextNumber += 1
      return state.nextNumber
    }
    return try await withThrowingTaskGroup(of: Void.self) { group in
      defer { group.cancelAll() }
      group.addTask {
        try await Task.sleep(for: self.longestWait)
        self.giveUp(number)
      }
      return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
          enqueue(Waiter(number: number, blocks: blocks, continuation: continuation))
          whenWaiting()
        }
      } onCancel: {
        cancel(number)
      }
    }
  }

  /// The blocks, if they are free and nobody waits already.
  private func takeAtOnce(_ blocks: Int) -> [BlockRange]? {
    state.withLock { state in
      state.waiters.isEmpty ? try? pool.allocate(blocks: blocks) : nil
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

  private func cancel(_ number: Int) { end(number) { _ in CancellationError() } }

  private func giveUp(_ number: Int) {
    end(number) { waiter in
      BatonError(
        .resourceExhausted,
        "the request needs \(waiter.blocks) KV blocks, which have not become free within "
          + "\(longestWait); the engine's pool has \(pool.blockCount)",
        retryAfterMilliseconds: 1_000)
    }
  }

  /// Ends a wait, if it has not ended otherwise.
  private func end(_ number: Int, because error: (Waiter) -> any Error) {
    let waiter = state.withLock { state in
      state.waiters.firstIndex { $0.number == number }.map { state.waiters.remove(at: $0) }
    }
    guard let waiter else { return }
    waiter.continuation.resume(throwing: error(waiter))
    serve()
  }
}
