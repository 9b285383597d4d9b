import CVerbs
import Glibc
package import KVCore

/// Leave for the peer of one queue pair to read a part of registered memory: a memory window of
/// type 2 (ibv_alloc_mw(3)), and ibv_dealloc_mw(3) at the end, which ends the leave, too.
///
/// It is bound by a work request of the queue pair that the peer is connected with, and serves that
/// one only. Once another request has invalidated it, it can be bound again, under its next key. It
/// is to end before the memory that it is bound to. For one thread at a time.
@safe
package final class MemoryWindow: @unchecked Sendable {
  // SAFETY: @unchecked holds because the pointer never changes, and callers use a window on one
  // thread at a time.

  let window: UnsafeMutablePointer<ibv_mw>
  private let domain: ProtectionDomain

  /// Throws `deviceError` where the device has no more.
  package init(_ domain: ProtectionDomain) throws(BatonError) {
    guard let window = unsafe cverbs_create_window(domain.domain) else {
      throw BatonError(verb: "ibv_alloc_mw", subject: domain.device.name, errno: errno)
    }
    self.domain = domain
    unsafe self.window = window
  }

  deinit { _ = unsafe cverbs_destroy_window(window) }

  /// What the peer reads with, from the completion of a binding on. Eight bits of it change with
  /// each, so a key comes back after 256 bindings.
  package var remoteKey: UInt32 { unsafe window.pointee.rkey }

  /// What a work request does to a window.
  @safe
  package struct Change {
    fileprivate let wire: cverbs_window_change

    /// The peer may read these bytes of `memory`, which is registered for reading by peers.
    package static func bind(
      _ window: MemoryWindow, to memory: borrowing RegisteredMemory, offset: Int, length: Int
    ) -> Change {
      unsafe Change(
        wire: cverbs_window_change(
          window: window.window, region: memory.region,
          address: UInt64(memory.address) + UInt64(offset), length: UInt64(length)))
    }

    /// The peer may read nothing more with the window's key.
    package static func invalidate(_ window: MemoryWindow) -> Change {
      unsafe Change(
        wire: cverbs_window_change(window: window.window, region: nil, address: 0, length: 0))
    }
  }
}

extension QueuePair {
  /// Posts `changes`, `chain` at most, with one doorbell. The last has a completion with `id`, and
  /// so has any that fails.
  ///
  /// Throws what the device says; some may have been posted then, so the queue pair is of no use.
  package borrowing func post(
    _ changes: ArraySlice<MemoryWindow.Change>, id: UInt64
  ) throws(BatonError) {
    let pair = unsafe pair
    let result = unsafe withUnsafeTemporaryAllocation(
      of: cverbs_window_change.self, capacity: changes.count
    ) { buffer in
      for (place, change) in changes.enumerated() {
        unsafe buffer.initializeElement(at: place, to: change.wire)
      }
      guard let first = buffer.baseAddress else { return CInt(0) }
      return unsafe cverbs_post_window_changes(pair, first, changes.count, id)
    }
    try check(result, "ibv_post_send of windows", subject)
  }
}
