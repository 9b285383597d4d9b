import CLinux
import Glibc
package import KVCore

/// Wakes a thread that waits in poll(2): an eventfd(2), set once and never reset.
package struct EventSignal: ~Copyable, Sendable {
  package let descriptor: FileDescriptor

  package init() throws(BatonError) {
    descriptor = FileDescriptor(owning: try check(clinux_event(), "eventfd", "a wake-up"))
  }

  /// Makes the descriptor readable from now on.
  package borrowing func set() {
    var one: UInt64 = 1
    // It fails only where the counter is full, and then the descriptor is readable already.
    _ = unsafe write(descriptor.rawValue, &one, MemoryLayout<UInt64>.size)
  }
}
