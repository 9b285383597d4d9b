internal import KVCore

/// How much one frame and one message may carry; less is granted before the handshake is over.
package struct FrameLimits: Hashable, Sendable {
  package let maximumPayloadBytes: Int
  /// Of one message in all its frames, and of all unfinished messages of a connection together.
  package let maximumMessageBytes: Int
  /// Whether a message may be cut into several frames.
  package let allowsParts: Bool

  package init(maximumPayloadBytes: Int, maximumMessageBytes: Int, allowsParts: Bool = true) {
    self.maximumPayloadBytes = maximumPayloadBytes
    self.maximumMessageBytes = maximumMessageBytes
    self.allowsParts = allowsParts
  }

  /// Messages of the handshake fit one frame.
  package static let handshake = FrameLimits(
    maximumPayloadBytes: Limits.maximumHandshakePayloadBytes,
    maximumMessageBytes: Limits.maximumHandshakePayloadBytes, allowsParts: false)

  package static let established = FrameLimits(
    maximumPayloadBytes: Limits.maximumFramePayloadBytes,
    maximumMessageBytes: Limits.maximumMessageBytes)
}
