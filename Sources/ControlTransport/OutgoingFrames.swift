internal import ControlWire
internal import NIOCore

/// Frames on their way to the socket: urgent ones, then the others in their order.
///
/// No more than `TransportLimits.writeBytes` is given out at once, so that what is urgent overtakes
/// what has not left.
struct OutgoingFrames {
  private var urgent = ByteBuffer()
  /// Whole frames each, and none longer than the longest frame or `TransportLimits.writeBytes`.
  private var segments = CircularBuffer<ByteBuffer>()
  /// The last segment, which grows.
  private var tail = ByteBuffer()
  /// All that is in here.
  private(set) var byteCount = 0
  /// The place of the next byte that is appended, among all that are not urgent.
  private(set) var appended: UInt64 = 0
  /// The place of the next one that is given out.
  private(set) var given: UInt64 = 0

  var isEmpty: Bool { byteCount == 0 }

  var urgentBytes: Int { urgent.readableBytes }

  mutating func appendUrgent(_ frames: [UInt8]) {
    byteCount += frames.count
    urgent.writeBytes(frames)
  }

  mutating func append(_ frames: [UInt8]) {
    byteCount += frames.count
    appended += UInt64(frames.count)
    var start = 0
    // Only a message in many frames is longer than a segment.
    while start < frames.count {
      var end = frames.count
      if end - start > TransportLimits.writeBytes {
        end = FrameHeader.end(ofFrameAt: start, in: frames)
      }
      appendSegment(frames[start..<end])
      start = end
    }
  }

  private mutating func appendSegment(_ bytes: ArraySlice<UInt8>) {
    let length = tail.readableBytes + bytes.count
    if tail.readableBytes > 0, length > TransportLimits.writeBytes {
      segments.append(tail)
      tail = ByteBuffer()
    }
    tail.writeBytes(bytes)
  }

  /// What is to be written next; nil when there is nothing.
  mutating func take() -> ByteBuffer? {
    guard !isEmpty else { return nil }
    var buffer: ByteBuffer
    if let part = urgent.readSlice(length: TransportLimits.writeBytes) {
      // The rest goes on where this part ends.
      buffer = part
    } else {
      buffer = urgent
      urgent = ByteBuffer()
    }
    while urgent.readableBytes == 0, let next = nextSegment(),
      buffer.readableBytes == 0
        || buffer.readableBytes + next.readableBytes <= TransportLimits.writeBytes
    {
      removeNextSegment()
      given += UInt64(next.readableBytes)
      if buffer.readableBytes == 0 {
        buffer = next
      } else {
        buffer.writeImmutableBuffer(next)
      }
    }
    byteCount -= buffer.readableBytes
    return buffer
  }

  private func nextSegment() -> ByteBuffer? {
    segments.first ?? (tail.readableBytes > 0 ? tail : nil)
  }

  private mutating func removeNextSegment() {
    if segments.popFirst() == nil { tail = ByteBuffer() }
  }
}
