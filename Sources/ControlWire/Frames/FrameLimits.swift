internal import KVCore

/// How much one frame and one message may carry; less is granted before the handshake is over.
package struct FrameLimits: Hashable, Sendable {
  package let maximumPayloadBytes: Int
  /// Of one message in all its frames, and of all unfinished messages of a connection together.
  package let maximumMessageBytes: Int

  package init(maximumPayloadBytes: Int, maximumMessageBytes: Int) {
    self.maximumPayloadBytes = maximumPayloadBytes
    self.maximumMessageBytes = maximumMessageBytes
  }

  /// Messages of the handshake fit one frame.
  package static let handshake = FrameLimits(
    maximumPayloadBytes: Limits.maximumHandshakePayloadBytes,
    maximumMessageBytes: Limits.maximumHandshakePayloadBytes)

  package static let established = FrameLimits(
    maximumPayloadBytes: Limits.maximumFramePayloadBytes,
    maximumMessageBytes: Limits.maximumMessageBytes)
}
