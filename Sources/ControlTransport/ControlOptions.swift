package import ControlProtocol

/// How this process guards and watches its control connections.
package struct ControlOptions: Sendable {
  /// When long payloads are compressed, if the peer can read them.
  package enum Compression: String, Sendable, CaseIterable, CustomStringConvertible {
    /// Between machines: on one, bytes cost less than compressing them.
    case remote
    case always
    case never

    package var description: String { rawValue }
  }

  /// What peers must prove, and are proven; nil where none is wanted.
  package var keys: ClusterKeys?
  package var compression: Compression
  /// How long a peer may say nothing, though asked, before it counts as gone.
  package var peerTimeout: Duration

  package init(
    keys: ClusterKeys? = nil, compression: Compression = .remote,
    peerTimeout: Duration = .milliseconds(TransportLimits.peerTimeoutMilliseconds)
  ) {
    self.keys = keys
    self.compression = compression
    self.peerTimeout = peerTimeout
  }

  /// The optional parts of the protocol that a connection offers.
  func features(isLocal: Bool) -> [String] {
    var features: [String] = []
    if keys != nil { features.append(HandshakeMachine.Feature.clusterKey) }
    let compresses =
      switch compression {
      case .remote: !isLocal
      case .always: true
      case .never: false
      }
    if compresses { features.append(HandshakeMachine.Feature.zstd) }
    return features
  }
}
