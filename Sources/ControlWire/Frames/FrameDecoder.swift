package import KVCore

/// Bytes from the wire to whole messages. Does no IO and can be fed in pieces of any size.
///
/// Holds at most one frame and what was fed last, plus unfinished messages of
/// `limits.maximumMessageBytes` together: `pending.count < header + payload limit + last feed`.
package struct FrameDecoder: ~Copyable {
  /// One message of which not all frames have come.
  private struct Partial {
    var type: UInt16
    /// `response` and `deadline`, which all frames of a message have alike.
    var common: FrameFlags
    var payload: [UInt8]
  }

  /// Raised by the owner between two messages, when the handshake is over.
  package var limits: FrameLimits

  /// Bytes that were fed, of which those before `start` are done with.
  private var pending: [UInt8] = []
  private var start = 0
  /// Where on the connection `pending[start]` is.
  private var offset: UInt64 = 0
  private var partials: [UInt64: Partial] = [:]
  /// The sum of what `partials` hold.
  private var partialBytes = 0

  package init(limits: FrameLimits) { self.limits = limits }

  /// Whether a part of a frame has come, once `next` has given all whole messages.
  package var isInsideFrame: Bool { start < pending.count }

  /// Whether some message has come in part only.
  package var hasUnfinishedMessages: Bool { !partials.isEmpty }

  /// Takes bytes as they came; `next` gives what they complete.
  package mutating func feed(_ bytes: Span<UInt8>) {
    if start > 0 {
      pending.removeFirst(start)
      start = 0
    }
    unsafe bytes.withUnsafeBytes { unsafe pending.append(contentsOf: $0) }
  }

  /// Gives the next whole message to `body` and returns its result; nil when more bytes are needed.
  ///
  /// The header of a message that came in several frames is that of its last frame. `payloadLength`
  /// is that of the whole message as `body` gets it: decompressed, and without the deadline, which
  /// is in the header. The payload is valid inside `body` only. Throws `malformedFrame`, naming
  /// the frame's offset on the connection and what is wrong; the decoder is then of no more use.
  package mutating func next<Result>(
    _ body: (FrameHeader, Span<UInt8>) -> Result
  ) throws(BatonError) -> Result? {
    while let header = try frameAtStart() {
      let payload = start + FrameHeader.byteCount..<start + header.frameLength
      let isWhole = !header.flags.contains(.continues) && partials[header.stream] == nil
      if isWhole, !header.flags.contains(.compressed) {
        let result = try give(header, pending.span.extracting(payload), to: body)
        consume(header.frameLength)
        return result
      }
      let content = try content(of: header, in: payload)
      let whole = isWhole ? content : try join(header, content)
      if let whole {
        let result = try give(header, whole.span, to: body)
        consume(header.frameLength)
        return result
      }
      consume(header.frameLength)
    }
    return nil
  }

  /// The header of the frame at `start`, once the whole frame is there and found intact.
  private func frameAtStart() throws(BatonError) -> FrameHeader? {
    guard pending.count - start >= FrameHeader.byteCount else { return nil }
    let available = pending.span.extracting(droppingFirst: start)
    let header: FrameHeader
    do {
      header = try FrameHeader(available, limits: limits)
    } catch {
      throw malformed(error.message)
    }
    guard available.count >= header.frameLength else { return nil }
    guard FrameHeader.hasValidChecksum(available.extracting(first: header.frameLength)) else {
      throw malformed("the checksum does not match: bytes were changed on the way")
    }
    return header
  }

  /// What a frame carries, decompressed.
  private func content(
    of header: FrameHeader, in payload: Range<Int>
  ) throws(BatonError) -> [UInt8] {
    guard header.flags.contains(.compressed) else { return Array(pending[payload]) }
    do {
      return try PayloadCompression.decompress(
        pending.span.extracting(payload), maximumBytes: limits.maximumPayloadBytes)
    } catch {
      throw malformed(error.message)
    }
  }

  /// Gives a whole message to `body`, its deadline in the header.
  private func give<Result>(
    _ header: FrameHeader, _ payload: Span<UInt8>, to body: (FrameHeader, Span<UInt8>) -> Result
  ) throws(BatonError) -> Result {
    var header = header
    var payload = payload
    if header.flags.contains(.deadline) {
      guard payload.count >= FrameHeader.deadlineByteCount else {
        throw malformed("the payload is too short for a deadline")
      }
      header.deadlineMilliseconds = (0..<FrameHeader.deadlineByteCount).reduce(0) { value, place in
        value | UInt32(payload[place]) << (8 * place)
      }
      payload = payload.extracting(droppingFirst: FrameHeader.deadlineByteCount)
    }
    header.payloadLength = UInt32(payload.count)
    return body(header, payload)
  }

  /// Adds the content of a frame to its message; returns the message once it is whole.
  private mutating func join(
    _ header: FrameHeader, _ content: [UInt8]
  ) throws(BatonError) -> [UInt8]? {
    guard limits.allowsParts else { throw malformed("a message of the handshake is cut in parts") }
    let common = header.flags.intersection([.response, .deadline])
    guard partialBytes + content.count <= limits.maximumMessageBytes else {
      throw malformed(
        "unfinished messages have \(partialBytes + content.count) bytes, "
          + "\(limits.maximumMessageBytes) are allowed")
    }
    var partial =
      partials.removeValue(forKey: header.stream)
      ?? Partial(type: header.type, common: common, payload: [])
    guard partial.type == header.type, partial.common == common else {
      throw malformed(
        "stream \(header.stream) goes on with type \(header.type) "
          + "inside a message of type \(partial.type)")
    }
    partial.payload += content
    if header.flags.contains(.continues) {
      guard partials.count < Limits.maximumStreamsPerConnection else {
        throw malformed("more than \(partials.count) messages are unfinished")
      }
      partials[header.stream] = partial
      partialBytes += content.count
      return nil
    }
    partialBytes -= partial.payload.count - content.count
    return partial.payload
  }

  private mutating func consume(_ count: Int) {
    start += count
    offset += UInt64(count)
    if start == pending.count {
      pending.removeAll(keepingCapacity: pending.capacity <= limits.maximumPayloadBytes * 2)
      start = 0
    }
  }

  /// Bytes of the peer that are held now.
  package var heldBytes: Int { pending.count + partialBytes }

  private func malformed(_ reason: String) -> BatonError {
    BatonError(.malformedFrame, "frame at byte \(offset) of the connection: \(reason)")
  }
}
