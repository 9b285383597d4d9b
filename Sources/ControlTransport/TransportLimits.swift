/// The named maximum of what connections wait for and hold; `Limits` has those of the protocol.
package enum TransportLimits {
  /// How long one who connects waits for the connection, and then for the handshake.
  package static let connectMilliseconds: Int64 = 5_000
  /// How long one who listens waits, from the first byte possible to the end of the handshake.
  package static let handshakeMilliseconds: Int64 = 10_000
  /// How long a connection that this side has ended waits for the peer to read the last bytes.
  package static let lingerMilliseconds: Int64 = 1_000
  /// How long the last bytes of a connection that this side has ended may take to leave.
  package static let farewellMilliseconds: Int64 = 10_000
  /// How long a peer may say nothing, though asked, before it counts as gone.
  package static let peerTimeoutMilliseconds: Int64 = 2_000
  /// How long the bytes of one frame may take to come.
  package static let frameMilliseconds: Int64 = 10_000
  /// How long some message or other of a connection may have come in part only.
  package static let messageMilliseconds: Int64 = 60_000
  /// How often deadlines are looked at, at least.
  package static let tickMilliseconds: Int64 = 250
  /// Bytes that may leave for one connection, and do not because the peer does not read. One that
  /// reads so slowly is cut off. More than the requests and what streams may send without credit.
  package static let maximumUnwrittenBytes = 128 << 20
  /// The part of them that is urgent: pongs, credit, cancels.
  package static let maximumUrgentBytes = 1 << 20
  /// What the kernel takes of a connection before it is sent (`TCP_NOTSENT_LOWAT`, tcp(7)): what is
  /// urgent waits for it.
  package static let unsentBytes = 128 << 10
  /// Bytes that are given to the socket at once; what is urgent waits for no more than these.
  package static let writeBytes = 256 << 10
  /// Bytes of a connection's answers that wait here for credit. What would be more ends the stream
  /// that has most of them.
  package static let maximumWaitingBytes = 64 << 20
  /// Bytes of a connection's answers that have come and are not taken by who asked. What would be
  /// more ends the stream that has most of them.
  package static let maximumUnreadBytes = 64 << 20
  /// Bytes of the requests that are open on a connection, in each direction.
  package static let maximumRequestBytes = 64 << 20
  /// Connections that the kernel holds for a server that has not accepted them yet.
  package static let listenBacklog: Int32 = 256
  /// Bytes of a Unix socket's path or name that fit every system's `sockaddr_un` (unix(7)).
  package static let maximumSocketPathBytes = 103
}
