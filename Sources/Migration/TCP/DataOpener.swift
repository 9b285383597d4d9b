import ControlProtocol
import KVCore
import Platform

/// Opens data connections of one link: the reader's side of the handshake.
struct DataOpener: Sendable {
  let link: LinkID
  let peer: LinkPeer
  /// Where the owner accepts them; one at least.
  let addresses: [(host: String, port: UInt16)]
  let keys: DataKeys
  let timeoutMilliseconds: UInt32

  /// Blocks, for a bounded time.
  ///
  /// Throws `unauthenticated` if somebody else answers, `unavailable` if the owner knows no such
  /// link, and as `TCPSocket.connect` does.
  func open() throws(BatonError) -> DataSocket {
    var failure = BatonError(.unavailable, "\(peer.engine) has no address for data connections")
    for (host, port) in addresses {
      do throws(BatonError) {
        let socket = DataSocket(
          try TCPSocket.connect(
            host: host, port: port, timeoutMilliseconds: MigrationLimits.handshakeMilliseconds))
        try prove(on: socket.socket, "\(host):\(port)")
        try socket.socket.setTimeouts(
          receivingMilliseconds: timeoutMilliseconds, sendingMilliseconds: timeoutMilliseconds)
        return socket
      } catch {
        failure = error
      }
    }
    throw failure
  }

  private func prove(
    on socket: borrowing TCPSocket, _ address: String
  ) throws(BatonError) {
    let opening = DataHandshake.Opening(
      link: link, nonce: DataHandshake.randomBytes(DataHandshake.nonceBytes)
    ).bytes
    try socket.send(opening)
    let received = try socket.receive(count: DataHandshake.Welcome.byteCount)
    guard let welcome = DataHandshake.Welcome(received) else {
      throw BatonError(.unauthenticated, "\(address) does not serve data connections of Baton")
    }
    guard welcome.status == .welcome else {
      throw BatonError(
        .unavailable, "\(peer.engine) at \(address) refuses a data connection: \(welcome.status)")
    }
    let transcript = opening + welcome.head
    guard keys.accept(welcome.codes, of: .owner, over: transcript) else {
      throw BatonError(
        .unauthenticated,
        "\(address) does not prove that it is the owner of link \(link) to \(peer.engine)")
    }
    try socket.send(keys.codes(of: .reader, over: transcript))
  }
}
