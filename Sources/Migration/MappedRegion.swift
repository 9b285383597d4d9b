package import KVCore
import KVPool

/// A peer's region in place, to be read only. The memory stays mapped while this value exists,
/// whatever becomes of the link or the peer.
package struct MappedRegion: Sendable {
  package let key: RegionKey
  /// The first byte in this process.
  package let address: UInt
  package let length: ByteCount
  let memory: PeerMemory
  /// Where the region starts in `memory`.
  let offset: ByteCount
}
