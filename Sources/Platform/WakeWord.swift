import CLinux
import Glibc

/// A counter of this process that threads can wait for (futex(2)), alone or together with peers'
/// liveness words.
@safe
package final class WakeWord: @unchecked Sendable {
  // SAFETY: @unchecked holds because the pointer never changes and the word behind it is only
  // touched by atomic operations.
  private let word: UnsafeMutablePointer<UInt32>

  package init() {
    unsafe word = UnsafeMutablePointer.allocate(capacity: 1)
    unsafe word.initialize(to: 0)
  }

  package var value: UInt32 { unsafe clinux_word_load(word) }

  /// Adds one and wakes whoever waits.
  package func advance() { unsafe clinux_word_advance(word) }

  /// What ended a wait.
  package enum WaitResult: Hashable, Sendable {
    /// A word may have changed, or a signal came.
    case look
    /// Somebody was woken for the peer's word at this place, which says nothing of its value.
    case woken(Int)
    /// The kernel does not wait for more than one word: Linux 5.16 can, where it is allowed to.
    case unsupported
  }

  /// Peers' words that one wait can have.
  package static let maximumPeers = Int(CLINUX_WAIT_MAXIMUM) - 1

  /// Blocks while this word is `seen` and no peer's word has changed. May return without a change.
  ///
  /// - Parameter peers: at most `maximumPeers`.
  package func wait(while seen: UInt32, and peers: [PeerLivenessWord] = []) -> WaitResult {
    precondition(peers.count <= Self.maximumPeers, "more words than one wait can have")
    var addresses = unsafe [UnsafePointer<UInt32>(word)]
    for peer in peers { unsafe addresses.append(peer.address) }
    let values = [seen] + peers.map(\.held)
    let result = unsafe clinux_wait_any(addresses, values, addresses.count)
    withExtendedLifetime(peers) {}
    switch result {
    case -EAGAIN, -EINTR, 0: return .look
    case 1...: return .woken(Int(result) - 1)
    // ENOSYS before Linux 5.16; a filter of system calls may say something else. Whatever it is, a
    // thread must not ask again and again.
    default: return .unsupported
    }
  }

  deinit { unsafe word.deallocate() }
}
