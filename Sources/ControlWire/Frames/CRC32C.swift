internal import CBatonWire

/// The Castagnoli checksum of frames (RFC 3720, section 12.1).
package enum CRC32C {
  /// The checksum of `bytes`.
  package static func checksum(_ bytes: Span<UInt8>) -> UInt32 {
    unsafe bytes.withUnsafeBytes { unsafe update(0, $0) }
  }

  /// The same without the processor's instruction: what machines that lack it compute.
  package static func portableChecksum(_ bytes: Span<UInt8>) -> UInt32 {
    unsafe bytes.withUnsafeBytes { unsafe baton_crc32c_portable(0, $0.baseAddress, $0.count) }
  }

  /// Goes on from `checksum` with `bytes`.
  static func update(_ checksum: UInt32, _ bytes: UnsafeRawBufferPointer) -> UInt32 {
    unsafe baton_crc32c(checksum, bytes.baseAddress, bytes.count)
  }
}
