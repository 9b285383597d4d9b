import Synchronization

/// Calls something once, when as many others are done as there were.
final class Remaining: Sendable {
  private let count: Mutex<Int>
  private let whenDone: @Sendable () -> Void

  /// - Parameter count: one at least.
  init(_ count: Int, whenDone: @escaping @Sendable () -> Void) {
    precondition(count > 0, "something is waited for")
    self.count = Mutex(count)
    self.whenDone = whenDone
  }

  func countDown() {
    let isLast = count.withLock { count in
      count -= 1
      return count == 0
    }
    if isLast { whenDone() }
  }
}
