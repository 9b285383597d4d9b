import CLinux
import Glibc
package import KVCore

/// Words in shared memory, one for each peer, by which peers learn of this process's death.
///
/// One thread holds them all, and the kernel marks them when that thread ends, however it ends and
/// before the memory of a killed process is taken down. Peers can read the words and wait for
/// them, and cannot write them, so no peer can make another believe in a death.
@safe
package final class LivenessWords: @unchecked Sendable {
  // SAFETY: @unchecked holds because the pointer to the list never changes, and what it points at
  // is only touched by the thread that holds the words.

  /// A word for each of so many peers: a peer that waits for a word can use up its one wake-up.
  package static let count = Int(CLINUX_LIVENESS_WORDS)

  /// What peers get; sealed.
  package let file: SharedMemoryFile
  private let mapping: SharedMapping
  private let list: OpaquePointer

  /// Throws `resourceExhausted` if the system gives no more memory or descriptors.
  package init() throws(BatonError) {
    file = try SharedMemoryFile.create(
      name: "baton-liveness",
      length: ByteCount(Self.count * MemoryLayout<clinux_liveness_word>.stride))
    let mapping = try SharedMapping(of: file, access: .readWrite)
    try mapping.populate()
    try file.add(.readOnlyForPeers)
    let words = unsafe mapping.base.assumingMemoryBound(to: clinux_liveness_word.self)
    guard let list = unsafe clinux_liveness_make(words) else {
      throw BatonError(errno: ENOMEM, call: "calloc", subject: "liveness words")
    }
    self.mapping = mapping
    unsafe self.list = list
  }

  /// The calling thread holds all words until it ends or lets go; they must live as long.
  ///
  /// Throws `internalError` where the kernel has no robust lists (set_robust_list(2)).
  package func hold() throws(BatonError) {
    _ = try unsafe check(clinux_liveness_hold(list), "set_robust_list", file.name)
  }

  /// The thread that holds the words gives them up: to peers, this process is dead.
  package func letGo() { unsafe clinux_liveness_let_go(list) }

  deinit { unsafe clinux_liveness_free(list) }
}

/// One of a peer's liveness words.
@safe
package final class PeerLivenessWord: @unchecked Sendable {
  // SAFETY: @unchecked holds because nothing in here changes but the word itself, which is only
  // read, by an atomic load.

  /// More than any number of words needs; bounds what a peer can make us map.
  private static let maximumBytes = ByteCount.kibibytes(64)

  private let mapping: SharedMapping
  let address: UnsafePointer<UInt32>
  /// The value that the word had when its holder lived.
  let held: UInt32

  /// Checks the descriptor that a peer sent, then maps it.
  ///
  /// - Parameters:
  ///   - word: which of the words is ours to wait for.
  ///   - peer: for messages.
  ///
  /// Throws `incompatible` for memory that the peer could shrink, is too short or too long;
  /// `peerGone` for a word that nobody holds.
  package init(
    received descriptor: consuming FileDescriptor, word: Int, peer: EngineID
  ) throws(BatonError) {
    let file = try SharedMemoryFile(received: descriptor, name: "liveness words of \(peer)")
    let seals = try file.seals()
    let offset = word * MemoryLayout<clinux_liveness_word>.stride
    guard seals.contains(.shrink), word >= 0, file.length <= Self.maximumBytes,
      offset + MemoryLayout<clinux_liveness_word>.stride <= file.length.rawValue
    else {
      throw BatonError(
        .incompatible,
        "\(file.name): \(file.length.rawValue) bytes with seals \(seals); word \(word), SHRINK and "
          + "at most \(Self.maximumBytes) are needed")
    }
    mapping = try SharedMapping(of: file, access: .readOnly)
    try mapping.populate()
    unsafe address = UnsafePointer(
      (mapping.base + offset).assumingMemoryBound(to: UInt32.self))
    held = unsafe clinux_word_load(address)
    guard clinux_is_held(held) != 0 else {
      throw BatonError(.peerGone, "\(file.name): nobody holds word \(word)")
    }
  }

  /// Whether the word says anything but that the holder lives.
  package var isLost: Bool { unsafe clinux_word_load(address) != held }
}
