internal import KVCore

/// Tells what the bytes of one direction of a connection say: one JSON object for each frame, on a
/// line of its own.
///
/// `Protocols/README.md`, "Looking at frames", describes the objects. Frames and messages are
/// judged by `FrameDecoder` and `MessageCodec` themselves, so what is shown as an error here is one
/// to every receiver. A capture may begin anywhere on a connection: messages of the handshake are
/// held to its limits, all others to those of an established connection on which compression is
/// allowed.
package struct FrameInspector: ~Copyable {
  /// Numbers of `baton.v1.MessageType` that belong to the handshake.
  private static let handshakeTypes: ClosedRange<UInt16> = 1...7

  /// Whether every frame and message so far is one that a receiver takes.
  package private(set) var isSound = true

  private var decoder = FrameDecoder(limits: .compressed)
  /// Bytes that were fed and belong to no whole frame yet.
  private var pending: [UInt8] = []
  /// Where `pending` starts.
  private var offset = 0
  /// The frames so far of each message that is not complete.
  private var parts: [UInt64: Int] = [:]
  /// After a malformed frame nobody can tell where the next one starts.
  private var isBroken = false

  package init() {}

  /// The lines of the frames that `bytes` complete.
  package mutating func feed(_ bytes: [UInt8]) -> [String] {
    guard !isBroken else {
      offset += bytes.count
      return []
    }
    pending += bytes
    var lines: [String] = []
    var start = 0
    while !isBroken, let length = lengthOfFrame(at: start) {
      lines.append(line(of: Array(pending[start..<start + length])))
      start += length
      offset += length
    }
    pending.removeFirst(start)
    return lines
  }

  /// A last line for what no frame was made of; nil when the bytes ended with a frame.
  package mutating func finish() -> String? {
    guard !isBroken, !pending.isEmpty || !parts.isEmpty else { return nil }
    isSound = false
    let reason =
      pending.isEmpty
      ? "the bytes end inside \(parts.count) unfinished message\(parts.count == 1 ? "" : "s")"
      : "the bytes end inside a frame, after \(pending.count) of "
        + (pending.count < FrameHeader.byteCount
          ? "the header's \(FrameHeader.byteCount)" : "\(statedLength(at: 0))")
    var json = JSONText()
    json.object { json in
      json.key("offset")
      json.number(offset)
      Self.write(BatonError(.malformedFrame, reason), to: &json)
    }
    return json.text
  }

  /// Of the frame at `start`, once it is whole; of its header alone if that is malformed.
  private func lengthOfFrame(at start: Int) -> Int? {
    guard pending.count - start >= FrameHeader.byteCount else { return nil }
    let available = pending.span.extracting(droppingFirst: start)
    guard (try? FrameHeader(available, limits: decoder.limits)) != nil else {
      return FrameHeader.byteCount
    }
    let length = statedLength(at: start)
    return available.count >= length ? length : nil
  }

  private func statedLength(at start: Int) -> Int {
    FrameHeader.byteCount + Int(Self.number(pending, start + 16, bytes: 4))
  }

  /// What a frame says; `frame` is a header alone if that is malformed.
  private mutating func line(of frame: [UInt8]) -> String {
    let flags = FrameFlags(rawValue: frame[5])
    let type = UInt16(Self.number(frame, 6, bytes: 2))
    let stream = Self.number(frame, 8, bytes: 8)
    let part = parts[stream, default: 0] + 1
    let content = content(of: frame, type: type)
    if case .failure(_, let isFatal) = content { (isSound, isBroken) = (false, isFatal) }
    if case .message(_, _?, _) = content { isSound = false }
    parts[stream] = flags.contains(.continues) && !isBroken ? part : nil

    let offset = offset
    var json = JSONText()
    json.object { json in
      json.key("offset")
      json.number(offset)
      Self.writeHeader(frame, isBare: isBroken, to: &json)
      if part > 1 || flags.contains(.continues) {
        json.key("part")
        json.number(part)
      }
      switch content {
      case .part: break
      case .message(let message, let error, let deadline):
        if let deadline {
          json.key("deadline_milliseconds")
          json.number(Int(deadline))
        }
        if let message {
          json.key("message")
          json.literal(message)
        }
        if let error { Self.write(error, to: &json) }
      case .failure(let error, _): Self.write(error, to: &json)
      }
    }
    return json.text
  }

  private enum Content {
    /// The message goes on in another frame.
    case part
    /// The message as JSON, where it is one of its type, and what a receiver says against it.
    case message(String?, BatonError?, deadlineMilliseconds: UInt32?)
    /// No receiver reads on after an error that is fatal.
    case failure(BatonError, isFatal: Bool)
  }

  private mutating func content(of frame: [UInt8], type: UInt16) -> Content {
    let isHandshake = Self.handshakeTypes.contains(type)
    do throws(BatonError) {
      decoder.feed(frame.span)
      let content = try decoder.next { header, payload in Self.content(header, payload) }
      let limit = FrameLimits.handshake.maximumPayloadBytes
      if isHandshake, frame.count - FrameHeader.byteCount > limit {
        return .failure(
          BatonError(
            .malformedFrame,
            "frame at byte \(offset) of the connection: the payload has "
              + "\(frame.count - FrameHeader.byteCount) bytes, "
              + "\(limit) are allowed in the handshake"
          ), isFatal: false)
      }
      return content ?? .part
    } catch {
      return .failure(error, isFatal: true)
    }
  }

  private static func content(_ header: FrameHeader, _ payload: Span<UInt8>) -> Content {
    let (type, deadline) = (header.type, header.deadlineMilliseconds)
    let text = MessageText(type: type, payload: payload)
    var message: String?
    if let text {
      var json = JSONText()
      text.write(to: &json)
      message = json.text
    }
    do throws(BatonError) {
      _ = try MessageCodec.decode(type: type, payload: payload)
      return .message(message, nil, deadlineMilliseconds: deadline)
    } catch {
      guard error.code == .malformedFrame,
        let fault = PayloadFault.first(in: payload, type: type)
      else { return .message(message, error, deadlineMilliseconds: deadline) }
      let explained = BatonError(
        error.code, "\(error.message): at byte \(fault.offset) of it, \(fault.reason)")
      return .message(message, explained, deadlineMilliseconds: deadline)
    }
  }

  /// `isBare` for a frame that is malformed: its bytes are shown instead of being explained.
  private static func writeHeader(_ frame: [UInt8], isBare: Bool, to json: inout JSONText) {
    let type = UInt16(number(frame, 6, bytes: 2))
    if isBare {
      json.key("header")
      json.string(Hexadecimal.string(frame.prefix(FrameHeader.byteCount)))
    }
    guard number(frame, 0, bytes: 4) == UInt64(FrameHeader.magic) else { return }
    if let name = MessageText.name(of: type) {
      json.key("type")
      json.string(name)
    }
    json.key("type_number")
    json.number(Int(type))
    json.key("flags")
    json.list { json in
      for name in FrameFlags(rawValue: frame[5]).names { json.string(name) }
    }
    json.key("stream")
    json.wideNumber(number(frame, 8, bytes: 8))
    json.key("length")
    json.number(Int(number(frame, 16, bytes: 4)))
    json.key("limits")
    json.string(handshakeTypes.contains(type) ? "handshake" : "established")
    guard frame.count == FrameHeader.byteCount + Int(number(frame, 16, bytes: 4)) else { return }
    json.key("crc_ok")
    json.boolean(FrameHeader.hasValidChecksum(frame.span))
  }

  private static func write(_ error: BatonError, to json: inout JSONText) {
    json.key("error")
    json.object { json in
      json.key("code")
      json.string(error.code.description)
      json.key("message")
      json.string(error.message)
    }
  }

  /// A little-endian number.
  private static func number(_ frame: [UInt8], _ start: Int, bytes: Int) -> UInt64 {
    (0..<bytes).reduce(0) { $0 | UInt64(frame[start + $1]) << (8 * $1) }
  }
}
