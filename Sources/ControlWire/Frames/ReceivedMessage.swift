package import ControlProtocol
package import KVCore

/// One whole message as it came.
package struct ReceivedMessage: Sendable {
  /// As `FrameDecoder.next` gives it.
  package let header: FrameHeader
  /// What the payload says, or what is wrong with it: see `MessageCodec.decode`.
  package let content: Result<Message, BatonError>
  /// Empty unless it was asked for.
  package let payload: [UInt8]
}

extension FrameDecoder {
  /// The next whole message; nil when more bytes are needed. Throws as `next` does.
  ///
  /// - Parameter keepsPayload: whether the payload is wanted beside what it says.
  package mutating func nextMessage(
    keepsPayload: Bool = false
  ) throws(BatonError) -> ReceivedMessage? {
    try next { header, payload in
      let content = Result { () throws(BatonError) in
        try MessageCodec.decode(type: header.type, payload: payload)
      }
      return ReceivedMessage(
        header: header, content: content,
        payload: keepsPayload ? payload.indices.map { payload[$0] } : [])
    }
  }
}
