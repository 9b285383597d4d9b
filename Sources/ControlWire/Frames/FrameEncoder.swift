package import ControlProtocol
package import KVCore

/// Messages to the bytes that go on the wire. Does no IO.
package enum FrameEncoder {
  /// The frames of one message, one after the other, ready to be written.
  ///
  /// `last` goes on the last frame only, `response` on all. Throws `invalidArgument` for a message
  /// with more than `limits.maximumMessageBytes` bytes.
  package static func encode(
    _ message: Message, stream: UInt64, flags: FrameFlags, limits: FrameLimits = .established
  ) throws(BatonError) -> [UInt8] {
    let packed = MessageCodec.pack(message)
    guard packed.byteCount <= limits.maximumMessageBytes else {
      throw BatonError(
        .invalidArgument,
        "a \(packed.type) of \(packed.byteCount) bytes cannot be sent: "
          + "\(limits.maximumMessageBytes) are allowed")
    }
    let partBytes = limits.maximumPayloadBytes
    let frames = max(1, (packed.byteCount + partBytes - 1) / partBytes)
    let count = frames * FrameHeader.byteCount + packed.byteCount
    return unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialised in
      let buffer = unsafe UnsafeMutableRawBufferPointer(
        UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
      // The payload is packed at the end, then each part moves forward to behind its header: no
      // part's place reaches past its source, so none is overwritten before it has moved.
      let payloadOffset = frames * FrameHeader.byteCount
      unsafe packed.write(to: UnsafeMutableRawBufferPointer(rebasing: buffer[payloadOffset...]))
      for index in 0..<frames {
        let length = min(partBytes, packed.byteCount - index * partBytes)
        let start = index * (FrameHeader.byteCount + partBytes)
        let source = payloadOffset + index * partBytes
        let frame = unsafe UnsafeMutableRawBufferPointer(
          rebasing: buffer[start..<start + FrameHeader.byteCount + length])
        if source != start + FrameHeader.byteCount {
          unsafe UnsafeMutableRawBufferPointer(rebasing: frame[FrameHeader.byteCount...])
            .copyMemory(
              from: UnsafeRawBufferPointer(rebasing: buffer[source..<source + length]))
        }
        let isFinal = index == frames - 1
        unsafe FrameHeader(
          flags: isFinal ? flags : flags.subtracting(.last).union(.continues),
          type: packed.type.rawValue, stream: stream, payloadLength: UInt32(length)
        ).seal(frame)
      }
      initialised = count
    }
  }
}
