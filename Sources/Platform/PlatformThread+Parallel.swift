package import KVCore
import Synchronization

extension PlatformThread {
  /// Runs `body` for each number below `count` side by side: 0 on the calling thread, the others
  /// on threads of their own, or after it where the system gives no more of them. Blocks until all
  /// have returned.
  ///
  /// Throws the first error of any.
  package static func inParallel(
    _ count: Int, name: String, _ body: @escaping @Sendable (Int) throws(BatonError) -> Void
  ) throws(BatonError) {
    let failure = Failure()
    @Sendable func run(_ number: Int) {
      do throws(BatonError) { try body(number) } catch { failure.note(error) }
    }
    var threads: [PlatformThread] = []
    var left: [Int] = count > 0 ? [0] : []
    for number in 1..<max(1, count) {
      do throws(BatonError) {
        threads.append(try start(name: name) { run(number) })
      } catch {
        left.append(number)
      }
    }
    for number in left { run(number) }
    for thread in threads { thread.join() }
    if let error = failure.first { throw error }
  }

  private final class Failure: Sendable {
    private let error = Mutex<BatonError?>(nil)

    var first: BatonError? { error.withLock { $0 } }

    func note(_ failure: BatonError) { error.withLock { $0 = $0 ?? failure } }
  }
}
