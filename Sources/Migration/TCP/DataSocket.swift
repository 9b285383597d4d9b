import KVCore
import Platform

/// A data connection that one thread uses and any thread may end.
final class DataSocket: Sendable {
  let socket: TCPSocket

  init(_ socket: consuming TCPSocket) { self.socket = socket }

  func shutDown() { socket.shutDown() }
}
