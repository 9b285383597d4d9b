internal import CZstd
package import KVCore
internal import Synchronization

/// Payloads to zstd frames (RFC 8878) and back.
///
/// One context each way serves the whole process: few messages are long enough to need it.
///
/// What `baton bench metadata` says of tickets, on one core of a 2-core virtual machine:
///
/// | packed bytes | compressed | µs to compress and decompress | ns for a byte saved |
/// |---|---|---|---|
/// | 209 | 163 | 4.5 | 98 |
/// | 896 | 535 | 7.8 | 22 |
/// | 3,078 | 1,790 | 11.9 | 9 |
/// | 8,028 | 4,343 | 17.5 | 5 |
/// | 26,642 | 16,810 | 39 | 4 |
/// | 254,163 | 163,719 | 356 | 4 |
///
/// A byte takes 8 ns on a network of 1 Gbit/s, so that is where `thresholdBytes` lets the bytes be
/// worth their time. Progress does not get shorter, because it is checksums: of a late claim, whose
/// progress is long enough, 8,192 blocks take 10 µs to encode in place of 4.
///
/// There is no dictionary: one that was trained on 60 to 2,000 other tickets
/// (ZDICT_trainFromBuffer, 4 to 110 KiB) saves 4 % of what 3,078 bytes take, 2 % for 8,028 and
/// nothing for more. It saves 14 to 38 % only for tickets below 1 KiB, which are not compressed.
package enum PayloadCompression {
  /// Payloads shorter than this go as they are: there is little to be saved, and tokens must not
  /// wait.
  package static let thresholdBytes = 4_096

  private static let compressor = Mutex(ZstdCompressor())
  private static let decompressor = Mutex(ZstdDecompressor())

  /// A zstd frame that holds `payload`, of whatever size; nil where that would not be shorter.
  package static func compress(_ payload: Span<UInt8>) -> [UInt8]? {
    let frame = compressor.withLock { compressor in
      unsafe payload.withUnsafeBytes { unsafe compressor.compress($0, toLessThan: $0.count) }
    }
    return frame.isEmpty ? nil : frame
  }

  /// What the zstd frame `frame` holds: 1 to `maximumBytes` bytes.
  ///
  /// What the frame declares is checked before any memory is taken. Throws `malformedFrame`
  /// without a place, for the decoder to add.
  package static func decompress(
    _ frame: Span<UInt8>, maximumBytes: Int
  ) throws(BatonError) -> [UInt8] {
    let declared = unsafe frame.withUnsafeBytes { bytes in
      unsafe bytes.baseAddress.map { unsafe czstd_content_size($0, bytes.count) } ?? -1
    }
    guard declared != -1 else {
      throw BatonError(.malformedFrame, "the payload is not one zstd frame")
    }
    guard declared != -2 else {
      throw BatonError(.malformedFrame, "the payload's zstd frame does not declare its size")
    }
    guard (1...Int64(maximumBytes)).contains(declared) else {
      throw BatonError(
        .malformedFrame,
        "the payload has \(declared) bytes when it is decompressed, 1 to \(maximumBytes) are "
          + "allowed")
    }
    let (payload, failure) = decompressor.withLock { decompressor in
      unsafe frame.withUnsafeBytes { unsafe decompressor.decompress($0, to: Int(declared)) }
    }
    if let failure {
      throw BatonError(.malformedFrame, "the payload's zstd frame is damaged: \(failure)")
    }
    return payload
  }
}

/// ZSTD_CCtx.
@safe
private struct ZstdCompressor: ~Copyable, @unchecked Sendable {
  // SAFETY: @unchecked holds because a context is used by whoever owns or has locked it only.
  private let context: OpaquePointer

  init() {
    guard let context = unsafe czstd_compressor_create() else { fatalError("out of memory") }
    unsafe self.context = context
  }

  deinit { unsafe czstd_compressor_free(context) }

  /// Empty if the frame does not get shorter than `limit`.
  mutating func compress(_ payload: UnsafeRawBufferPointer, toLessThan limit: Int) -> [UInt8] {
    guard limit > 0, let source = payload.baseAddress else { return [] }
    return unsafe [UInt8](unsafeUninitializedCapacity: limit - 1) { buffer, initialised in
      guard let target = buffer.baseAddress else { return }
      initialised = unsafe czstd_compress(
        context, target, limit - 1, source, payload.count)
    }
  }
}

/// ZSTD_DCtx.
@safe
private struct ZstdDecompressor: ~Copyable, @unchecked Sendable {
  // SAFETY: @unchecked holds because a context is used by whoever owns or has locked it only.
  private let context: OpaquePointer

  init() {
    guard let context = unsafe czstd_decompressor_create() else { fatalError("out of memory") }
    unsafe self.context = context
  }

  deinit { unsafe czstd_decompressor_free(context) }

  /// The content of a frame that declares `byteCount` bytes, or what is wrong with it.
  mutating func decompress(
    _ frame: UnsafeRawBufferPointer, to byteCount: Int
  ) -> ([UInt8], failure: String?) {
    var failure: String?
    let payload = unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, initialised in
      guard let target = buffer.baseAddress, let source = frame.baseAddress else { return }
      let reason = unsafe czstd_decompress(context, target, byteCount, source, frame.count)
      if let reason = unsafe reason {
        failure = unsafe String(cString: reason)
      } else {
        initialised = byteCount
      }
    }
    return (payload, failure)
  }
}
