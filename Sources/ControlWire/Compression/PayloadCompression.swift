internal import CZstd
internal import KVCore
internal import Synchronization

/// Payloads to zstd frames (RFC 8878) and back.
///
/// One context each way serves the whole process: few messages are long enough to need it.
enum PayloadCompression {
  /// Payloads shorter than this go as they are: there is little to be saved, and tokens must not
  /// wait.
  static let thresholdBytes = 1_024

  private static let compressor = Mutex(ZstdCompressor())
  private static let decompressor = Mutex(ZstdDecompressor())

  /// A zstd frame that holds `payload`; nil where that would not be shorter.
  static func compress(_ payload: UnsafeRawBufferPointer) -> [UInt8]? {
    guard payload.count >= thresholdBytes else { return nil }
    let frame = compressor.withLock { unsafe $0.compress(payload, toLessThan: payload.count) }
    return frame.isEmpty ? nil : frame
  }

  /// What the zstd frame `frame` holds: 1 to `maximumBytes` bytes.
  ///
  /// What the frame declares is checked before any memory is taken. Throws `malformedFrame`
  /// without a place, for the decoder to add.
  static func decompress(
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
    guard let source = payload.baseAddress else { return [] }
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
