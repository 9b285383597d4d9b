import CVerbs
import Glibc
package import KVCore
import Synchronization

/// Where queue pairs tell what has been done: ibv_create_cq(3) with a channel to sleep on, and both
/// destroyed at the end. A class, because queue pairs keep it.
@safe
package final class CompletionQueue: @unchecked Sendable {
  // SAFETY: @unchecked holds because the pointers never change and verbs can be called from any
  // thread.

  /// What became of one work request.
  package struct Completion: Hashable, Sendable {
    /// As it was posted.
    package var id: UInt64
    /// enum ibv_wc_status.
    package var status: CInt

    package var isSuccess: Bool { status == 0 }
    /// It was outstanding when its queue pair failed (IBV_WC_WR_FLUSH_ERR).
    package var isFlushed: Bool { status == 5 }
  }

  /// As many completions as one `poll` brings.
  package static let batch = Int(CVERBS_CHAIN)

  package let device: DeviceContext
  /// By which events name the queue: no other of this process has it.
  package let number: UInt
  let queue: UnsafeMutablePointer<ibv_cq>
  private let channel: UnsafeMutablePointer<ibv_comp_channel>
  private static let lastNumber = Atomic<UInt>(0)

  /// - Parameter capacity: of all completions that can be outstanding at once.
  package init(device: DeviceContext, capacity: Int) throws(BatonError) {
    let number = Self.lastNumber.add(1, ordering: .relaxed).newValue
    guard let channel = unsafe ibv_create_comp_channel(device.context) else {
      throw BatonError(verb: "ibv_create_comp_channel", subject: device.name, errno: errno)
    }
    guard
      let queue = unsafe ibv_create_cq(
        device.context, CInt(capacity), UnsafeMutableRawPointer(bitPattern: number), channel, 0)
    else {
      let error = errno
      _ = unsafe ibv_destroy_comp_channel(channel)
      throw BatonError(
        verb: "ibv_create_cq", subject: "\(capacity) completions on \(device.name)", errno: error)
    }
    self.device = device
    self.number = number
    unsafe self.channel = channel
    unsafe self.queue = queue
  }

  deinit {
    _ = unsafe ibv_destroy_cq(queue)
    _ = unsafe ibv_destroy_comp_channel(channel)
  }

  /// Calls `body` for each completion that is there, `batch` at most; returns how many there were.
  ///
  /// - Parameter looks: how often it looks until it finds any.
  package func poll(
    looks: Int = 1, _ body: (Completion) -> Void
  ) throws(BatonError) -> Int {
    let queue = unsafe queue
    let count = unsafe withUnsafeTemporaryAllocation(
      of: cverbs_completion.self, capacity: Self.batch
    ) { buffer in
      guard let first = buffer.baseAddress else { return CInt(0) }
      let count = unsafe cverbs_poll(queue, first, CInt(Self.batch), CInt(looks))
      for place in 0..<max(0, Int(count)) {
        let found = unsafe buffer[place]
        body(Completion(id: found.id, status: found.status))
      }
      return count
    }
    try check(count, "ibv_poll_cq", device.name)
    return Int(count)
  }

  /// Asks for an event when the next completion comes; `poll` once more before `wait`.
  package func arm() throws(BatonError) {
    try check(unsafe cverbs_arm(queue), "ibv_req_notify_cq", device.name)
  }

  /// Sleeps until an armed queue has a completion. False when the time is up.
  package func wait(milliseconds: UInt32) throws(BatonError) -> Bool {
    let result = unsafe cverbs_wait(channel, CInt(clamping: milliseconds))
    try check(result, "ibv_get_cq_event", device.name)
    return result == 1
  }
}
