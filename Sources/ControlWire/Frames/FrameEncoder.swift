package import ControlProtocol
package import KVCore

/// One message as it goes on the wire.
package struct EncodedMessage: Sendable {
  /// All frames, one after the other.
  package let frames: [UInt8]
  /// Bytes of the payload, whole and not compressed, without a deadline.
  package let payloadBytes: Int
}

/// Messages to the bytes that go on the wire. Does no IO.
package enum FrameEncoder {
  /// The frames of one message, one after the other, ready to be written.
  ///
  /// - Parameters:
  ///   - flags: `last` goes on the last frame only, `response` on all.
  ///   - deadlineMilliseconds: in how much time a request must be answered.
  ///   - limits: whether they allow compression says whether the peer does.
  ///
  /// Throws `invalidArgument` for a message with more than `limits.maximumMessageBytes` bytes.
  package static func encode(
    _ message: Message, stream: UInt64, flags: FrameFlags, deadlineMilliseconds: UInt32? = nil,
    limits: FrameLimits = .established
  ) throws(BatonError) -> EncodedMessage {
    let packed = MessageCodec.pack(message)
    let prefix = deadlineMilliseconds == nil ? 0 : FrameHeader.deadlineByteCount
    let byteCount = prefix + packed.byteCount
    guard byteCount <= limits.maximumMessageBytes else {
      throw BatonError(
        .invalidArgument,
        "a \(packed.type) of \(packed.byteCount) bytes cannot be sent: "
          + "\(limits.maximumMessageBytes - prefix) are allowed")
    }
    let flags = deadlineMilliseconds == nil ? flags : flags.union(.deadline)
    let frames = Frames(
      type: packed.type, stream: stream, flags: flags, byteCount: byteCount,
      partBytes: limits.maximumPayloadBytes)
    var bytes = unsafe [UInt8](
      unsafeUninitializedCapacity: frames.totalBytes
    ) { buffer, initialised in
      let buffer = unsafe UnsafeMutableRawBufferPointer(
        UnsafeMutableBufferPointer(rebasing: buffer[..<frames.totalBytes]))
      // The payload goes to the end, from where `seal` moves its parts.
      let payload = unsafe UnsafeMutableRawBufferPointer(
        rebasing: buffer[frames.payloadOffset...])
      if let deadlineMilliseconds {
        unsafe payload.storeBytes(of: deadlineMilliseconds.littleEndian, as: UInt32.self)
      }
      unsafe packed.write(to: UnsafeMutableRawBufferPointer(rebasing: payload[prefix...]))
      unsafe frames.seal(buffer)
      initialised = frames.totalBytes
    }
    if limits.allowsCompression, byteCount >= PayloadCompression.thresholdBytes {
      bytes = frames.compressed(bytes)
    }
    return EncodedMessage(frames: bytes, payloadBytes: packed.byteCount)
  }
}

/// How one message lies in its frames.
private struct Frames {
  let type: MessageType
  let stream: UInt64
  let flags: FrameFlags
  /// Of the payload.
  let byteCount: Int
  /// Of the payload in each frame but the last.
  let partBytes: Int

  private var count: Int { max(1, (byteCount + partBytes - 1) / partBytes) }
  var payloadOffset: Int { count * FrameHeader.byteCount }
  var totalBytes: Int { payloadOffset + byteCount }

  private func header(of index: Int) -> FrameHeader {
    let isFinal = index == count - 1
    return FrameHeader(
      flags: isFinal ? flags : flags.subtracting(.last).union(.continues), type: type.rawValue,
      stream: stream, payloadLength: UInt32(min(partBytes, byteCount - index * partBytes)))
  }

  private func start(of index: Int) -> Int { index * (FrameHeader.byteCount + partBytes) }

  /// Moves each part of the payload from the end of `buffer` forward to behind its header: no
  /// part's place reaches past its source, so none is overwritten before it has moved.
  func seal(_ buffer: UnsafeMutableRawBufferPointer) {
    for index in 0..<count {
      let header = header(of: index)
      let start = start(of: index)
      let source = payloadOffset + index * partBytes
      let frame = unsafe UnsafeMutableRawBufferPointer(
        rebasing: buffer[start..<start + header.frameLength])
      if source != start + FrameHeader.byteCount {
        unsafe UnsafeMutableRawBufferPointer(rebasing: frame[FrameHeader.byteCount...])
          .copyMemory(
            from: UnsafeRawBufferPointer(
              rebasing: buffer[source..<source + Int(header.payloadLength)]))
      }
      unsafe header.seal(frame)
    }
  }

  /// The same frames with each payload compressed that gets shorter.
  func compressed(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    for index in 0..<count {
      var header = header(of: index)
      let start = start(of: index)
      let end = start + header.frameLength
      // The last part of a long message may be short.
      guard header.payloadLength >= PayloadCompression.thresholdBytes,
        let packed = PayloadCompression.compress(
          bytes.span.extracting(start + FrameHeader.byteCount..<end))
      else {
        result += bytes[start..<end]
        continue
      }
      header.flags.insert(.compressed)
      header.payloadLength = UInt32(packed.count)
      let sealed = result.count
      result += [UInt8](repeating: 0, count: FrameHeader.byteCount)
      result += packed
      unsafe result.withUnsafeMutableBytes { all in
        unsafe header.seal(UnsafeMutableRawBufferPointer(rebasing: all[sealed...]))
      }
    }
    return result
  }
}
