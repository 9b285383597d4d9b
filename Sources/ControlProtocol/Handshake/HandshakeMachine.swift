package import KVCore

/// The start of one connection: hellos both ways, proofs of the cluster key where there is one, and
/// what each side runs once all of that is accepted.
///
/// The initiator is first with each of the three. Nothing but the hello and the proof is told to a
/// peer before its own were accepted.
package struct HandshakeMachine: ~Copyable {
  /// Which side this is: the initiator opened the connection.
  package enum Side: Hashable, Sendable {
    case initiator
    case acceptor

    var other: Side { self == .initiator ? .acceptor : .initiator }
  }

  /// Parts of the protocol that not every process has; in `Hello.features`.
  package enum Feature {
    /// The sender proves a cluster key, and wants the peer to.
    package static let clusterKey = "cluster-key"
    /// The sender can read compressed payloads.
    package static let zstd = "zstd"
  }

  /// What the peer is, once the handshake is over.
  package struct Outcome: Hashable, Sendable {
    package let version: UInt32
    package let hello: Hello
    package let info: PeerInfo

    package init(version: UInt32, hello: Hello, info: PeerInfo) {
      self.version = version
      self.hello = hello
      self.info = info
    }
  }

  /// What the caller does next.
  package enum Action: Hashable, Sendable {
    case wait
    case send(Message)
    /// The handshake is over; the acceptor still has its info to send.
    case complete(Outcome, sending: Message?)
    /// Send the error, unless it is nil (the peer sent one itself), and close the connection.
    case refuse(BatonError, sending: Message?)
  }

  private enum State {
    case idle
    case awaitingHello
    case awaitingProof(version: UInt32, hello: Hello, HandshakeTranscript)
    case awaitingInfo(version: UInt32, hello: Hello)
    case complete
    case refused
  }

  /// Versions of the protocol that this side speaks, best first.
  package static let versions: [UInt32] = [1]

  private let side: Side
  private let hello: Hello
  /// The payload in which `hello` goes on the wire.
  private let helloPayload: [UInt8]
  private let info: PeerInfo
  private let keys: ClusterKeys?
  private var state: State = .idle

  /// - Parameters:
  ///   - hello: what this side tells of itself first; its features name `Feature.clusterKey` if,
  ///     and only if, there are `keys`.
  ///   - helloPayload: `hello` as it goes on the wire.
  ///   - info: what this side tells once the peer's hello and proof are accepted.
  ///   - keys: nil where peers are believed without a proof.
  package init(
    side: Side, hello: Hello, helloPayload: [UInt8], info: PeerInfo, keys: ClusterKeys?
  ) {
    precondition(hello.features.contains(Feature.clusterKey) == (keys != nil), "a key is announced")
    self.side = side
    self.hello = hello
    self.helloPayload = helloPayload
    self.info = info
    self.keys = keys
  }

  /// The connection is open. Call once, first.
  package mutating func start() -> Action {
    guard case .idle = state else { preconditionFailure("the handshake has been started") }
    state = .awaitingHello
    switch side {
    case .initiator: return .send(.hello(hello))
    case .acceptor: return .wait
    }
  }

  /// The peer sent `message` on stream 0, in this payload.
  package mutating func received(_ message: Message, payload: [UInt8]) -> Action {
    if case .error(let error) = message {
      state = .refused
      return .refuse(error, sending: nil)
    }
    switch (state, message) {
    case (.awaitingHello, .hello(let remote)):
      return accept(remote, payload: payload)
    case (.awaitingProof(let version, let remote, let transcript), .proof(let proof)):
      return accept(proof, of: remote, version: version, transcript)
    case (.awaitingInfo(let version, let remote), .peerInfo(let remoteInfo)):
      return accept(remoteInfo, of: remote, version: version)
    case (.awaitingHello, _):
      return refuse(.protocolViolation, "the first message of a connection is a Hello")
    case (.awaitingProof, _):
      return refuse(
        .unauthenticated, "after its Hello a peer proves the cluster key, with a Proof")
    case (.awaitingInfo, _):
      return refuse(.protocolViolation, "a peer that is accepted sends its PeerInfo")
    case (.idle, _), (.complete, _), (.refused, _):
      return refuse(.protocolViolation, "a message of the handshake came outside of it")
    }
  }

  private mutating func accept(_ remote: Hello, payload: [UInt8]) -> Action {
    guard let version = hello.versions.filter(remote.versions.contains).max() else {
      return refuse(
        .incompatible,
        "\(remote.engine) speaks protocol versions \(remote.versions), "
          + "\(hello.engine) speaks \(hello.versions)")
    }
    guard remote.engine != hello.engine else {
      return remote.incarnation == hello.incarnation
        ? refuse(
          .incompatible, "\(hello.engine) (\(hello.incarnation)) is connected with itself")
        : refuse(
          .incompatible,
          "two engines have the id \(hello.engine): "
            + "incarnations \(remote.incarnation) and \(hello.incarnation)")
    }
    guard remote.role != .proxy || hello.role != .proxy else {
      return refuse(
        .incompatible,
        "\(remote.engine) and \(hello.engine) both have the role proxy: proxies connect to engines")
    }
    let isKeyed = remote.features.contains(Feature.clusterKey)
    guard isKeyed == (keys != nil) else {
      let (keyed, other) =
        isKeyed ? (remote.engine, hello.engine) : (hello.engine, remote.engine)
      return refuse(
        .unauthenticated,
        "\(keyed) has a cluster key and \(other) has none; all processes of a fleet need the same")
    }
    if let keys {
      let transcript = HandshakeTranscript(
        initiatorHello: side == .initiator ? helloPayload : payload,
        acceptorHello: side == .initiator ? payload : helloPayload)
      state = .awaitingProof(version: version, hello: remote, transcript)
      if side == .initiator { return .send(.proof(keys.proof(of: side, over: transcript))) }
    } else {
      state = .awaitingInfo(version: version, hello: remote)
      if side == .initiator { return .send(.peerInfo(info)) }
    }
    return .send(.hello(hello))
  }

  private mutating func accept(
    _ proof: Proof, of remote: Hello, version: UInt32, _ transcript: HandshakeTranscript
  ) -> Action {
    guard let keys, keys.accept(proof, of: side.other, over: transcript) else {
      return refuse(
        .unauthenticated,
        "the cluster keys of \(remote.engine) and \(hello.engine) differ; both need the same")
    }
    state = .awaitingInfo(version: version, hello: remote)
    switch side {
    case .initiator: return .send(.peerInfo(info))
    case .acceptor: return .send(.proof(keys.proof(of: side, over: transcript)))
    }
  }

  private mutating func accept(
    _ remoteInfo: PeerInfo, of remote: Hello, version: UInt32
  ) -> Action {
    guard remoteInfo.model != nil || remote.role == .proxy || remote.role == .client else {
      return refuse(
        .incompatible, "\(remote.engine) has the role \(remote.role) but tells of no model")
    }
    if let ours = info.model, let theirs = remoteInfo.model {
      guard ours.geometry == theirs.geometry else {
        return refuse(
          .incompatible,
          "KV geometry: \(remote.engine) has \(theirs.geometry), "
            + "\(hello.engine) has \(ours.geometry)")
      }
      guard ours.fingerprint == theirs.fingerprint else {
        return refuse(
          .incompatible,
          "model: \(remote.engine) runs \(theirs.name) "
            + "(\(Hexadecimal.string(theirs.fingerprint))), \(hello.engine) runs \(ours.name) "
            + "(\(Hexadecimal.string(ours.fingerprint)))")
      }
    }
    state = .complete
    let outcome = Outcome(version: version, hello: remote, info: remoteInfo)
    switch side {
    case .initiator: return .complete(outcome, sending: nil)
    case .acceptor: return .complete(outcome, sending: .peerInfo(info))
    }
  }

  private mutating func refuse(_ code: ErrorCode, _ message: String) -> Action {
    state = .refused
    let error = BatonError(code, message)
    return .refuse(error, sending: .error(error))
  }
}
