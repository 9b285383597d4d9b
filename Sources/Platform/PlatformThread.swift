import CLinux
import Glibc
package import KVCore
import Synchronization

/// A thread of our own, for what blocks: the cooperative pool and event loops never do.
package final class PlatformThread: Sendable {
  private let handle: Mutex<pthread_t?>

  private init(handle: pthread_t) { self.handle = Mutex(handle) }

  /// Starts a thread that runs `body` and ends.
  ///
  /// - Parameter name: what `ps -L` and debuggers show; the kernel keeps 15 bytes of it.
  ///
  /// Throws `resourceExhausted` if the system gives no more threads.
  package static func start(
    name: String, _ body: @escaping @Sendable () -> Void
  ) throws(BatonError) -> PlatformThread {
    let work = unsafe Unmanaged.passRetained(Work(name: name, body: body))
    var thread = pthread_t()
    let error = unsafe pthread_create(
      &thread, nil,
      { argument in
        if let argument = unsafe argument {
          unsafe Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().run()
        }
        return nil
      }, work.toOpaque())
    guard error == 0 else {
      unsafe work.release()
      // EAGAIN is here a limit on threads, and no deadline.
      throw BatonError(
        errno: error == EAGAIN ? ENOMEM : error, call: "pthread_create", subject: name)
    }
    return PlatformThread(handle: thread)
  }

  /// Runs `body`, which may block, on a thread of its own and waits for it without blocking.
  package static func run<Value: Sendable>(
    name: String, _ body: @escaping @Sendable () throws -> Value
  ) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      do throws(BatonError) {
        _ = try start(name: name) {
          continuation.resume(with: Result { try body() })
        }
      } catch {
        continuation.resume(throwing: error)
      }
    }
  }

  /// The time that processors have spent on the calling thread, in the kernel too: clock_gettime(2)
  /// `CLOCK_THREAD_CPUTIME_ID`, which counts nanoseconds where getrusage(2) rounds.
  package static func processorTime() -> Duration {
    time(of: CLOCK_THREAD_CPUTIME_ID)
  }

  /// The same of all threads of the process, those that have ended among them
  /// (`CLOCK_PROCESS_CPUTIME_ID`).
  package static func processorTimeOfProcess() -> Duration {
    time(of: CLOCK_PROCESS_CPUTIME_ID)
  }

  /// The same of another process (clock_getcpuclockid(3)); zero for one that has ended.
  package static func processorTime(ofProcess id: Int32) -> Duration {
    var clock = clockid_t()
    guard unsafe clock_getcpuclockid(id, &clock) == 0 else { return .zero }
    return time(of: clock)
  }

  private static func time(of clock: clockid_t) -> Duration {
    var time = timespec()
    // It fails for no clock that Linux has.
    _ = unsafe clock_gettime(clock, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }

  /// Blocks until the thread has ended. The second call and a call from the thread itself return
  /// at once.
  package func join() {
    let joined = handle.withLock { handle in
      defer { handle = nil }
      return handle
    }
    guard let joined else { return }
    if pthread_equal(joined, pthread_self()) != 0 {
      pthread_detach(joined)
    } else {
      pthread_join(joined, nil)
    }
  }

  deinit {
    if let thread = handle.withLock({ $0 }) { pthread_detach(thread) }
  }

  private final class Work: Sendable {
    private let name: String
    private let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }

    func run() {
      unsafe clinux_name_thread(name)
      body()
    }
  }
}
