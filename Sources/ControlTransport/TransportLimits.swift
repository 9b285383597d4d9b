/// The named maximum of what connections wait for and hold; `Limits` has those of the protocol.
package enum TransportLimits {
  /// How long one who connects waits for the connection, and then for the handshake.
  package static let connectMilliseconds: Int64 = 5_000
  /// How long one who listens waits, from the first byte possible to the end of the handshake.
  package static let handshakeMilliseconds: Int64 = 10_000
  /// How long a connection that this side has ended waits for the peer to read the last bytes.
  package static let lingerMilliseconds: Int64 = 1_000
  /// Bytes that wait to be written to one connection. A peer that reads so slowly is cut off.
  package static let maximumUnwrittenBytes = 64 << 20
  /// Answers of one stream that its reader has not taken yet.
  package static let maximumUnreadAnswers = 65_536
  /// Connections that the kernel holds for a server that has not accepted them yet.
  package static let listenBacklog: Int32 = 256
  /// Bytes of a Unix socket's path or name that fit every system's `sockaddr_un` (unix(7)).
  package static let maximumSocketPathBytes = 103
}
