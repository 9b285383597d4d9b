package import ControlProtocol
internal import ControlWire
package import KVCore

/// What this process tells of itself on every connection, and how it proves it.
package struct LocalIdentity: Sendable {
  package var engine: EngineID
  package var incarnation: Incarnation
  package var role: Role
  /// A server that finds `info.addresses` empty fills in those that it is bound to.
  package var info: PeerInfo
  /// What peers must prove, and are proven; nil where none is wanted.
  package var keys: ClusterKeys?

  package init(
    engine: EngineID, incarnation: Incarnation, role: Role, info: PeerInfo, keys: ClusterKeys?
  ) {
    self.engine = engine
    self.incarnation = incarnation
    self.role = role
    self.info = info
    self.keys = keys
  }

  /// A hello with a fresh nonce from the system's cryptographic generator.
  func hello() -> Hello {
    var generator = SystemRandomNumberGenerator()
    return Hello(
      versions: HandshakeMachine.versions, engine: engine, incarnation: incarnation, role: role,
      features: keys == nil ? [] : [HandshakeMachine.Feature.clusterKey],
      nonce: (0..<WireLimits.nonceBytes).map { _ in
        UInt8.random(in: .min ... .max, using: &generator)
      })
  }
}
