package import KVCore

/// The start of one connection: hellos both ways, and what each side runs once both are accepted.
///
/// The order is initiator's hello, acceptor's hello, initiator's info, acceptor's info. Nothing
/// but the hello is told to a peer before its hello was accepted; the mutual proof of the cluster
/// key belongs between the hellos and the infos, in the same order.
package struct HandshakeMachine: ~Copyable {
  /// Which side this is: the initiator opened the connection.
  package enum Side: Hashable, Sendable {
    case initiator
    case acceptor
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
    case awaitingInfo(version: UInt32, hello: Hello)
    case complete
    case refused
  }

  /// Versions of the protocol that this side speaks, best first.
  package static let versions: [UInt32] = [1]

  private let side: Side
  private let hello: Hello
  private let info: PeerInfo
  private var state: State = .idle

  /// `hello` and `info` are what this side tells of itself.
  package init(side: Side, hello: Hello, info: PeerInfo) {
    self.side = side
    self.hello = hello
    self.info = info
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

  /// The peer sent `message` on stream 0.
  package mutating func received(_ message: Message) -> Action {
    if case .error(let error) = message {
      state = .refused
      return .refuse(error, sending: nil)
    }
    switch (state, message) {
    case (.awaitingHello, .hello(let remote)):
      return accept(remote)
    case (.awaitingInfo(let version, let remote), .peerInfo(let remoteInfo)):
      return accept(remoteInfo, of: remote, version: version)
    case (.awaitingHello, _):
      return refuse(.protocolViolation, "the first message of a connection is a Hello")
    case (.awaitingInfo, _):
      return refuse(.protocolViolation, "after its Hello a peer sends its PeerInfo")
    case (.idle, _), (.complete, _), (.refused, _):
      return refuse(.protocolViolation, "a message of the handshake came outside of it")
    }
  }

  private mutating func accept(_ remote: Hello) -> Action {
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
    state = .awaitingInfo(version: version, hello: remote)
    switch side {
    case .initiator: return .send(.peerInfo(info))
    case .acceptor: return .send(.hello(hello))
    }
  }

  private mutating func accept(
    _ remoteInfo: PeerInfo, of remote: Hello, version: UInt32
  ) -> Action {
    guard remoteInfo.model != nil || remote.role == .proxy else {
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
