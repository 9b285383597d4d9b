package import KVCore
package import Platform

/// A peer's shared memory, mapped read-only and populated.
///
/// It stays mapped while anything refers to it, whatever becomes of the peer.
package final class PeerMemory: Sendable {
  package let length: ByteCount
  /// The seals that the memory has.
  package let seals: SharedMemoryFile.Seals
  private let mapping: SharedMapping

  /// Checks the descriptor that a peer sent, then maps it. The descriptor is not needed afterwards.
  ///
  /// - Parameters:
  ///   - minimumLength: what the peer said there is.
  ///   - peer: for messages.
  ///
  /// Throws `incompatible` if the peer could still shrink the memory, which would make a read of it
  /// end this process, if it is shorter than it should be, or if not all of it is there: mapping it
  /// would then take memory, as much as the peer likes.
  package init(
    received descriptor: consuming FileDescriptor, minimumLength: ByteCount, peer: EngineID
  ) throws(BatonError) {
    let file = try SharedMemoryFile(received: descriptor, name: "shared memory of \(peer)")
    seals = try file.seals()
    guard seals.contains(.shrink) else {
      throw BatonError(
        .incompatible, "\(file.name): seals \(seals) are there, SHRINK is needed")
    }
    guard file.length >= minimumLength, minimumLength > .zero else {
      throw BatonError(
        .incompatible,
        "\(file.name) has \(file.length.rawValue) bytes, its regions need "
          + "\(minimumLength.rawValue)")
    }
    let present = try file.presentBytes()
    guard present >= file.length else {
      throw BatonError(
        .incompatible,
        "\(file.name) has pages for \(present.rawValue) of its \(file.length.rawValue) bytes; its "
          + "owner must populate it")
    }
    length = file.length
    mapping = try SharedMapping(of: file, access: .readOnly)
    try mapping.populate()
  }

  /// The address in this process of the first byte.
  package var address: UInt { mapping.address }

  /// The first byte.
  var base: UnsafeRawPointer { unsafe UnsafeRawPointer(mapping.base) }
}
