package import KVCore
import Platform

/// One thread of our own that runs, in order, what would block a cooperative thread.
package final class WorkerThread: Sendable {
  private enum Job: Sendable {
    case run(@Sendable () -> Void)
    case stop
  }

  private let mailbox: Mailbox<Job>
  private let thread: PlatformThread

  /// Throws `resourceExhausted` if the system gives no more threads.
  package init(name: String) throws(BatonError) {
    let mailbox = Mailbox<Job>()
    self.mailbox = mailbox
    self.thread = try PlatformThread.start(name: name) {
      while true {
        for job in mailbox.wait(until: nil) {
          switch job {
          case .run(let body): body()
          case .stop: return
          }
        }
      }
    }
  }

  deinit { mailbox.post(.stop) }

  /// Runs `body` on the thread, after what was asked for before; does not wait.
  package func post(_ body: @escaping @Sendable () -> Void) { mailbox.post(.run(body)) }

  /// Runs `body` on the thread and returns its value.
  package func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
      mailbox.post(.run { continuation.resume(returning: body()) })
    }
  }
}
