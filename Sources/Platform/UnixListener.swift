import CLinux
import Glibc
package import KVCore

/// A listening Unix socket whose connections are `UnixSocket`s.
package struct UnixListener: ~Copyable, Sendable {
  package let name: String
  package let descriptor: FileDescriptor

  /// Listens on `name`: `@name` is abstract and vanishes with the process, anything else a path.
  package init(name: String, backlog: CInt) throws(BatonError) {
    let subject = "Unix socket \(name)"
    let descriptor = FileDescriptor(
      owning: try check(clinux_unix_socket(), "socket", subject))
    _ = try unsafe check(
      clinux_unix_listen(descriptor.rawValue, name, name.utf8.count, backlog), "bind", subject)
    self.name = name
    self.descriptor = descriptor
  }

  /// The next connection; blocks unless poll(2) has said that there is one.
  package borrowing func accept() throws(BatonError) -> UnixSocket {
    UnixSocket(
      descriptor: FileDescriptor(
        owning: try check(
          clinux_unix_accept(descriptor.rawValue), "accept4", "Unix socket \(name)")))
  }
}
