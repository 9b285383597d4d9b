package import ControlProtocol
package import ControlWire
package import KVCore

/// Frames as bytes: of messages, and such as an encoder would not make, with a checksum that is
/// right.
package enum RawFrame {
  /// The frames of a message, one after the other.
  package static func encode(
    _ message: Message, stream: UInt64, flags: FrameFlags = .last,
    deadlineMilliseconds: UInt32? = nil, limits: FrameLimits = .established
  ) throws(BatonError) -> [UInt8] {
    try FrameEncoder.encode(
      message, stream: stream, flags: flags, deadlineMilliseconds: deadlineMilliseconds,
      limits: limits
    ).frames
  }

  package static func make(
    _ flags: FrameFlags = .last, type: UInt16 = 10, stream: UInt64 = 1, payload: [UInt8] = []
  ) throws -> [UInt8] {
    // Made by the encoder from an empty message, then given what is wanted and sealed again.
    var bytes = try encode(.acknowledged, stream: stream)
    bytes[5] = flags.rawValue
    bytes[6] = UInt8(type & 0xFF)
    bytes[7] = UInt8(type >> 8)
    for index in 0..<4 { bytes[16 + index] = UInt8(payload.count >> (8 * index) & 0xFF) }
    return seal(bytes + payload)
  }

  /// `frame` with the checksum of its other bytes.
  package static func seal(_ frame: [UInt8]) -> [UInt8] {
    var frame = frame
    let covered = Array(frame[..<20] + frame[24...])
    let checksum = CRC32C.checksum(covered.span)
    for index in 0..<4 { frame[20 + index] = UInt8(checksum >> (8 * index) & 0xFF) }
    return frame
  }
}
