internal import KVCore

/// What the bits of a frame's flag byte say.
package struct FrameFlags: OptionSet, Hashable, Sendable {
  package let rawValue: UInt8

  package init(rawValue: UInt8) { self.rawValue = rawValue }

  /// The payload is one zstd frame; only where both sides have said that they can.
  package static let compressed = FrameFlags(rawValue: 1 << 0)
  /// The sender sends no more on this stream.
  package static let last = FrameFlags(rawValue: 1 << 1)
  /// Sent by the side that did not open the stream.
  package static let response = FrameFlags(rawValue: 1 << 2)
  /// `last` and `response`.
  package static let lastResponse = FrameFlags(rawValue: last.rawValue | response.rawValue)
  /// The payload is a part of a message that goes on in the stream's next frame.
  package static let continues = FrameFlags(rawValue: 1 << 3)
  /// The message has a deadline: its first four bytes say in how many milliseconds.
  package static let deadline = FrameFlags(rawValue: 1 << 4)

  package static let known: FrameFlags = [.compressed, .last, .response, .continues, .deadline]
}

/// The 24 bytes before each payload, little endian.
///
/// Offsets: 0 magic `BATN`, 4 version, 5 flags, 6 type (16 bits), 8 stream (64), 16 payload length
/// (32), 20 CRC-32C (32) over bytes 0 to 19 and the payload.
package struct FrameHeader: Hashable, Sendable {
  package static let byteCount = 24
  /// Of the deadline before the payload of a message that has one: 32 bits, little endian.
  package static let deadlineByteCount = 4
  /// `BATN`, read as a little-endian number.
  package static let magic: UInt32 = 0x4E54_4142
  package static let magicByteCount = MemoryLayout<UInt32>.size
  package static let version: UInt8 = 1

  package var flags: FrameFlags
  /// A number of `baton.v1.MessageType`, known here or not.
  package var type: UInt16
  package var stream: UInt64
  package var payloadLength: UInt32
  /// From the payload of a message with the flag `deadline`, once it is whole.
  package var deadlineMilliseconds: UInt32?

  /// Of header and payload.
  package var frameLength: Int { Self.byteCount + Int(payloadLength) }

  package init(flags: FrameFlags, type: UInt16, stream: UInt64, payloadLength: UInt32) {
    self.flags = flags
    self.type = type
    self.stream = stream
    self.payloadLength = payloadLength
  }
}

extension FrameHeader {
  /// Writes the header in front of its payload and seals both with the checksum.
  ///
  /// `frame` is the whole frame: 24 bytes of any content, then `payloadLength` bytes.
  func seal(_ frame: UnsafeMutableRawBufferPointer) {
    precondition(frame.count == frameLength)
    unsafe frame.storeBytes(of: Self.magic.littleEndian, as: UInt32.self)
    unsafe frame[4] = Self.version
    unsafe frame[5] = flags.rawValue
    unsafe frame.storeBytes(of: type.littleEndian, toByteOffset: 6, as: UInt16.self)
    unsafe frame.storeBytes(of: stream.littleEndian, toByteOffset: 8, as: UInt64.self)
    unsafe frame.storeBytes(of: payloadLength.littleEndian, toByteOffset: 16, as: UInt32.self)
    let checksum = unsafe Self.checksum(UnsafeRawBufferPointer(frame))
    unsafe frame.storeBytes(of: checksum.littleEndian, toByteOffset: 20, as: UInt32.self)
  }

  /// Reads a header. `bytes` has at least 24 bytes; only the first 24 are looked at.
  ///
  /// Throws `malformedFrame` with a reason for a wrong magic, version, flag or length. The
  /// checksum needs the payload: see `hasValidChecksum`.
  init(_ bytes: Span<UInt8>, limits: FrameLimits) throws(BatonError) {
    func load<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: T.Type) -> T {
      // In bounds by this function's precondition, and any bits are an integer.
      T(littleEndian: unsafe bytes.bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: type))
    }
    precondition(bytes.count >= Self.byteCount)
    let magic = load(0, as: UInt32.self)
    guard magic == Self.magic else {
      throw BatonError(
        .malformedFrame,
        "the magic is 0x\(String(magic, radix: 16)), a frame starts with \"BATN\"")
    }
    let version = load(4, as: UInt8.self)
    guard version == Self.version else {
      throw BatonError(
        .malformedFrame, "the frame version is \(version), this side reads \(Self.version)")
    }
    self.init(
      flags: FrameFlags(rawValue: load(5, as: UInt8.self)), type: load(6, as: UInt16.self),
      stream: load(8, as: UInt64.self), payloadLength: load(16, as: UInt32.self))
    guard flags.isSubset(of: .known) else {
      throw BatonError(.malformedFrame, "the flags are \(flags.rawValue), bits 5 to 7 must be 0")
    }
    guard limits.allowsCompression || !flags.contains(.compressed) else {
      throw BatonError(.malformedFrame, "the payload is compressed, which was not negotiated")
    }
    guard !flags.isSuperset(of: [.last, .continues]) else {
      throw BatonError(.malformedFrame, "a part that goes on cannot be the last frame")
    }
    guard payloadLength <= UInt32(limits.maximumPayloadBytes) else {
      throw BatonError(
        .malformedFrame,
        "the payload has \(payloadLength) bytes, \(limits.maximumPayloadBytes) are allowed")
    }
    guard payloadLength > 0 || flags.isDisjoint(with: [.continues, .deadline]) else {
      throw BatonError(
        .malformedFrame,
        flags.contains(.continues)
          ? "a part that goes on is empty" : "the payload is too short for a deadline")
    }
  }

  /// The place behind the frame that starts at `start`, in frames that this side has encoded.
  package static func end(ofFrameAt start: Int, in frames: [UInt8]) -> Int {
    let length = (0..<4).reduce(0) { $0 | Int(frames[start + 16 + $1]) << (8 * $1) }
    return start + byteCount + length
  }

  /// Whether the checksum in `frame`, a whole frame, is that of its other bytes.
  static func hasValidChecksum(_ frame: Span<UInt8>) -> Bool {
    unsafe frame.withUnsafeBytes { bytes in
      let stated = unsafe bytes.loadUnaligned(fromByteOffset: 20, as: UInt32.self)
      return unsafe UInt32(littleEndian: stated) == checksum(bytes)
    }
  }

  private static func checksum(_ frame: UnsafeRawBufferPointer) -> UInt32 {
    let header = unsafe CRC32C.update(0, UnsafeRawBufferPointer(rebasing: frame[..<20]))
    return unsafe CRC32C.update(header, UnsafeRawBufferPointer(rebasing: frame[byteCount...]))
  }
}
