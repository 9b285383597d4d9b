import Glibc
import KVCore
import KVPool
import Migration
import Synchronization
import TestSupport

/// One read that stops this process in its middle, until somebody continues it (signal(7)).
struct HeldRead {
  let blocks: [BlockRange]
  let stamps: [UInt64]

  /// `stale`, `good` or, for bytes that are reported good and are not, `torn`.
  private static func word(isStale: Bool, isWhole: Bool) -> String {
    isStale ? "stale" : isWhole ? "good" : "torn"
  }

  /// Reads the first half, stops, reads the second.
  func borrow(_ migration: PoolMigration, blockBytes: Int) throws -> String {
    let borrowed = try migration.borrow(blocks, stamps: stamps)
    let pairs = Array(zip(borrowed.addresses, stamps))
    func areFilled(_ part: ArraySlice<(UInt, UInt64)>) -> Bool {
      part.allSatisfy { isFilled($0.0, with: $0.1, bytes: blockBytes) }
    }
    let firstHalf = areFilled(pairs[..<(pairs.count / 2)])
    Dialogue.say("held")
    kill(getpid(), SIGSTOP)
    let secondHalf = areFilled(pairs[(pairs.count / 2)...])
    return Self.word(isStale: borrowed.firstStale() != nil, isWhole: firstHalf && secondHalf)
  }

  /// Copies, and is stopped by a timer between the first byte and the last.
  func copy(_ migration: PoolMigration, into destination: KVPool) throws -> String {
    let targets = try destination.allocate(blocks: stamps.count)
    defer { destination.free(targets) }
    let addresses = targets.flatMap(\.blocks).map { destination.address(of: $0) }
    let blockBytes = destination.geometry.blockBytes.rawValue
    for address in addresses { fill(address, with: 0, bytes: blockBytes) }
    MiddleOfCopy.stop(
      after: addresses[0], before: addresses[addresses.count - 1] + UInt(blockBytes - 8))
    defer { MiddleOfCopy.end() }
    do throws(BatonError) {
      _ = try migration.copy(blocks, stamps: stamps, to: targets)
    } catch {
      guard error.code == .staleBlock else { throw error }
      return "stale"
    }
    return Self.word(
      isStale: false,
      isWhole: zip(addresses, stamps).allSatisfy { isFilled($0, with: $1, bytes: blockBytes) })
  }
}

/// A timer (setitimer(2)) that stops this process once a copy into zeros has begun and is not over.
private enum MiddleOfCopy {
  private static let first = Atomic<UInt>(0)
  private static let last = Atomic<UInt>(0)
  private static let hasStopped = Atomic(false)

  /// - Parameters:
  ///   - first: the word that the copy writes first.
  ///   - last: the one that it writes last.
  static func stop(after first: UInt, before last: UInt) {
    Self.first.store(first, ordering: .relaxed)
    Self.last.store(last, ordering: .relaxed)
    hasStopped.store(false, ordering: .relaxed)
    _ = signal(SIGALRM) { _ in MiddleOfCopy.look() }
    // Whoever started this process may have had all signals blocked, which is inherited.
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    unsafe sigaddset(&signals, SIGALRM)
    unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    set(intervalMicroseconds: 100)
  }

  static func end() { set(intervalMicroseconds: 0) }

  private static func set(intervalMicroseconds: Int) {
    let interval = timeval(tv_sec: 0, tv_usec: intervalMicroseconds)
    var timer = itimerval(it_interval: interval, it_value: interval)
    _ = unsafe setitimer(__itimer_which_t(ITIMER_REAL.rawValue), &timer, nil)
  }

  /// In the signal handler, where the thread that was interrupted copies and holds no lock.
  private static func look() {
    guard value(first) != 0, value(last) == 0,
      // A signal that was on its way to another thread comes after the timer's end.
      !hasStopped.exchange(true, ordering: .relaxed)
    else { return }
    end()
    Dialogue.say("held")
    kill(getpid(), SIGSTOP)
  }

  private static func value(_ address: borrowing Atomic<UInt>) -> UInt64 {
    let address = address.load(ordering: .relaxed)
    return unsafe UnsafePointer<UInt64>(bitPattern: address).map { unsafe $0.pointee } ?? 0
  }
}
