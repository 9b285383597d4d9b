import CLinux
import Glibc
package import KVCore

/// A listening TCP socket whose connections are `TCPSocket`s.
package struct TCPListener: ~Copyable, Sendable {
  package let host: String
  /// The one that it is bound to.
  package let port: UInt16
  package let descriptor: FileDescriptor

  /// Listens on the first address of `host`.
  ///
  /// - Parameter port: 0 takes a free one.
  ///
  /// Throws `unavailable` for a host that is not this machine's or a port that is in use.
  package init(host: String, port: UInt16, backlog: CInt) throws(BatonError) {
    var bound = port
    descriptor = FileDescriptor(
      owning: try unsafe check(
        clinux_tcp_listen(host, &bound, backlog), "bind", "\(host):\(port)"))
    self.host = host
    self.port = bound
  }

  /// The next connection; blocks unless poll(2) has said that there is one.
  package borrowing func accept() throws(BatonError) -> TCPSocket {
    TCPSocket(
      descriptor: FileDescriptor(
        owning: try check(
          clinux_tcp_accept(descriptor.rawValue), "accept4", "\(host):\(port)")))
  }
}
