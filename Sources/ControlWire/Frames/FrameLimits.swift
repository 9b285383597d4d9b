internal import KVCore

/// How much one frame and one message may carry; less is granted before the handshake is over.
package struct FrameLimits: Hashable, Sendable {
  package let maximumPayloadBytes: Int
  /// Of one message in all its frames, and of all unfinished messages of a connection together.
  package let maximumMessageBytes: Int
  /// Whether a message may be cut into several frames.
  package let allowsParts: Bool
  /// Whether payloads may be zstd frames.
  package let allowsCompression: Bool

  package init(
    maximumPayloadBytes: Int, maximumMessageBytes: Int, allowsParts: Bool = true,
    allowsCompression: Bool = false
  ) {
    self.maximumPayloadBytes = maximumPayloadBytes
    self.maximumMessageBytes = maximumMessageBytes
    self.allowsParts = allowsParts
    self.allowsCompression = allowsCompression
  }

  /// Messages of the handshake fit one frame.
  package static let handshake = FrameLimits(
    maximumPayloadBytes: Limits.maximumHandshakePayloadBytes,
    maximumMessageBytes: Limits.maximumHandshakePayloadBytes, allowsParts: false)

  package static let established = FrameLimits(
    maximumPayloadBytes: Limits.maximumFramePayloadBytes,
    maximumMessageBytes: Limits.maximumMessageBytes)

  /// The same where both sides have said that they can read compressed payloads.
  package static let compressed = FrameLimits(
    maximumPayloadBytes: Limits.maximumFramePayloadBytes,
    maximumMessageBytes: Limits.maximumMessageBytes, allowsCompression: true)
}
