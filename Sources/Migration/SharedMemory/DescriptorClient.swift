import KVCore
import KVPool
import Platform

/// Fetches the descriptor that a peer's `DescriptorServer` offers, and maps what is behind it.
enum DescriptorClient {
  /// Blocks, for a bounded time.
  ///
  /// - Parameters:
  ///   - socketName, token: of the peer's `SharedMemoryEndpoint`.
  ///   - length: of the memory up to the end of the last region.
  ///   - identity: this engine.
  ///   - peer: who must answer.
  ///   - own: the liveness word that the peer is given; nil for none.
  ///
  /// Returns the memory, and the peer's liveness word where it gives one.
  ///
  /// Throws `unauthenticated` if somebody else answers or the token is not accepted,
  /// `peerGone` if nobody does, `deadlineExceeded` if nothing comes, `incompatible` if the memory
  /// is not what it should be.
  static func fetch(
    socketName: String, token: [UInt8], length: ByteCount, identity: LinkPeer, peer: LinkPeer,
    own: (file: SharedMemoryFile, word: UInt8)?
  ) throws(BatonError) -> (memory: PeerMemory, liveness: PeerLivenessWord?) {
    let socket = try UnixSocket.connect(
      to: socketName, timeoutMilliseconds: MigrationLimits.fetchMilliseconds)
    let credentials = try socket.peerCredentials()
    guard credentials.isTrusted else {
      throw BatonError(
        .unauthenticated,
        "descriptor of \(peer.engine): process \(credentials.processID) of user "
          + "\(credentials.userID) answers, neither root nor this process's user")
    }
    let request = DescriptorMessage(
      status: .granted, speaker: identity, token: token, word: own?.word)
    try socket.send(request.encoded, passing: own?.file)
    let first = try answer(on: socket, of: peer)
    let word = first.word
    let memory = try PeerMemory(
      received: first.descriptor, minimumLength: length, peer: peer.engine)
    guard let word else { return (memory, nil) }
    let second = try answer(on: socket, of: peer)
    guard second.word == word else {
      throw BatonError(
        .protocolViolation, "descriptor of \(peer.engine): its two answers are not the same")
    }
    return (
      memory,
      try PeerLivenessWord(received: second.descriptor, word: Int(word), peer: peer.engine)
    )
  }

  private struct Answer: ~Copyable {
    let descriptor: FileDescriptor
    let word: UInt8?
  }

  private static func answer(
    on socket: borrowing UnixSocket, of peer: LinkPeer
  ) throws(BatonError) -> Answer {
    var buffer = [UInt8](repeating: 0, count: DescriptorMessage.maximumBytes)
    var received = try socket.receive(into: &buffer)
    guard received.count > 0 else {
      throw BatonError(.peerGone, "descriptor of \(peer.engine): closed without an answer")
    }
    let reply = try DescriptorMessage(decoding: buffer[..<received.count], tokenBytes: 0)
    guard reply.speaker == peer else {
      throw BatonError(
        .unauthenticated,
        "descriptor of \(peer.engine): \(reply.speaker.engine)/\(reply.speaker.incarnation) "
          + "answers, \(peer.engine)/\(peer.incarnation) is expected")
    }
    guard reply.status == .granted else { throw refusal(reply.status, peer) }
    guard let descriptor = received.takeDescriptor() else {
      throw BatonError(.protocolViolation, "descriptor of \(peer.engine): the answer has none")
    }
    return Answer(descriptor: descriptor, word: reply.word)
  }

  private static func refusal(_ status: DescriptorMessage.Status, _ peer: LinkPeer) -> BatonError {
    switch status {
    case .granted, .malformed:
      BatonError(.protocolViolation, "descriptor of \(peer.engine): the request was malformed")
    case .tokenUnknown:
      BatonError(
        .unauthenticated, "descriptor of \(peer.engine): the token is unknown or has been used")
    case .wrongEngine:
      BatonError(
        .unauthenticated, "descriptor of \(peer.engine): the token was made for another engine")
    }
  }
}
