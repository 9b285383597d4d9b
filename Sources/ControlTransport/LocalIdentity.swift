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
  package var options: ControlOptions

  package init(
    engine: EngineID, incarnation: Incarnation, role: Role, info: PeerInfo,
    options: ControlOptions
  ) {
    self.engine = engine
    self.incarnation = incarnation
    self.role = role
    self.info = info
    self.options = options
  }

  /// A hello with a fresh nonce from the system's cryptographic generator.
  ///
  /// - Parameter isLocal: whether the peer is on this machine.
  func hello(isLocal: Bool) -> Hello {
    var generator = SystemRandomNumberGenerator()
    return Hello(
      versions: HandshakeMachine.versions, engine: engine, incarnation: incarnation, role: role,
      features: options.features(isLocal: isLocal),
      nonce: (0..<WireLimits.nonceBytes).map { _ in
        UInt8.random(in: .min ... .max, using: &generator)
      })
  }
}
