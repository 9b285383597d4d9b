import Dispatch
import Synchronization

/// Commands on their way to the one thread that owns the state they change.
package final class Mailbox<Command: Sendable>: Sendable {
  private struct State {
    var commands: [Command] = []
    var isWaiting = false
  }

  private let state = Mutex(State())
  private let arrival = DispatchSemaphore(value: 0)

  package init() {}

  /// Adds a command and wakes the thread if it waits. Any thread may call this; it never blocks.
  package func post(_ command: Command) {
    let wakes = state.withLock { state in
      state.commands.append(command)
      defer { state.isWaiting = false }
      return state.isWaiting
    }
    if wakes { arrival.signal() }
  }

  /// Everything posted so far, in order, without waiting.
  package func takeAll() -> [Command] {
    state.withLock { state in
      state.isWaiting = false
      defer { state.commands.removeAll() }
      return state.commands
    }
  }

  /// Everything posted so far; waits until there is something or the deadline has passed. Now and
  /// then it returns with nothing before that.
  package func wait(until deadline: ContinuousClock.Instant?) -> [Command] {
    let isEmpty = state.withLock { state in
      state.isWaiting = state.commands.isEmpty
      return state.isWaiting
    }
    if isEmpty {
      if let deadline {
        let (seconds, attoseconds) = max(.zero, deadline - .now).components
        let nanoseconds = min(seconds, 3_600) * 1_000_000_000 + attoseconds / 1_000_000_000
        _ = arrival.wait(timeout: .now() + .nanoseconds(Int(nanoseconds)))
      } else {
        arrival.wait()
      }
    }
    return takeAll()
  }
}
