import CLinux
import Glibc
package import KVCore

/// A connected Unix socket of type SOCK_SEQPACKET (unix(7)): every `send` arrives as one message,
/// with at most one file descriptor.
package struct UnixSocket: ~Copyable, Sendable {
  package let descriptor: FileDescriptor

  init(descriptor: consuming FileDescriptor) { self.descriptor = descriptor }

  /// What one `receive` brought.
  package struct Received: ~Copyable {
    /// How many bytes of the buffer are filled; 0 when the other side has closed.
    package let count: Int
    private var descriptor: FileDescriptor?

    init(count: Int, descriptor: consuming FileDescriptor?) {
      self.count = count
      self.descriptor = descriptor
    }

    /// The file descriptor that came with the message, if any; nil the second time.
    package mutating func takeDescriptor() -> FileDescriptor? {
      descriptor.take()
    }
  }

  /// The process at the other end, as the kernel vouches for it (SO_PEERCRED).
  package struct Credentials: Hashable, Sendable {
    package let processID: Int32
    package let userID: UInt32

    package init(processID: Int32, userID: UInt32) {
      self.processID = processID
      self.userID = userID
    }

    /// Root, or the user that this process runs as.
    package var isTrusted: Bool { userID == 0 || userID == geteuid() }
  }

  /// Connects to `name`: `@name` is abstract, anything else a path.
  ///
  /// - Parameter timeoutMilliseconds: how long connecting, each send and each receive may take.
  ///
  /// Throws `peerGone` if nobody listens there, `deadlineExceeded` when the time is up.
  package static func connect(
    to name: String, timeoutMilliseconds: UInt32
  ) throws(BatonError) -> UnixSocket {
    let descriptor = FileDescriptor(
      owning: try check(clinux_unix_socket(), "socket", "Unix socket \(name)"))
    let connection = UnixSocket(descriptor: descriptor)
    try connection.setTimeout(milliseconds: timeoutMilliseconds)
    _ = try unsafe check(
      clinux_unix_connect(connection.descriptor.rawValue, name, name.utf8.count),
      "connect", "Unix socket \(name)")
    return connection
  }

  /// How long each send and receive may take before it throws `deadlineExceeded`.
  package borrowing func setTimeout(milliseconds: UInt32) throws(BatonError) {
    _ = try check(
      clinux_set_timeouts(descriptor.rawValue, milliseconds, milliseconds),
      "setsockopt SO_RCVTIMEO",
      "Unix socket")
  }

  package borrowing func peerCredentials() throws(BatonError) -> Credentials {
    var process: pid_t = 0
    var user: uid_t = 0
    _ = try unsafe check(
      clinux_peer_credentials(descriptor.rawValue, &process, &user), "getsockopt SO_PEERCRED",
      "Unix socket")
    return Credentials(processID: process, userID: user)
  }

  /// Sends one message, and a second descriptor for `file` with it (SCM_RIGHTS) if there is one.
  package borrowing func send(
    _ message: [UInt8], passing file: SharedMemoryFile? = nil
  ) throws(BatonError) {
    let socket = descriptor.rawValue
    guard let file else {
      _ = try unsafe check(
        clinux_send(socket, message, message.count, -1), "sendmsg", "Unix socket")
      return
    }
    try file.withDescriptor { (passed) throws(BatonError) in
      _ = try unsafe check(
        clinux_send(socket, message, message.count, passed.rawValue), "sendmsg",
        "the descriptor of \(file.name)")
    }
  }

  /// Receives one message into `buffer`, whose length is the longest message that is accepted.
  ///
  /// Throws `deadlineExceeded` when nothing came in time.
  package borrowing func receive(into buffer: inout [UInt8]) throws(BatonError) -> Received {
    var passed: CInt = -1
    let count = try unsafe check(
      clinux_receive(descriptor.rawValue, &buffer, buffer.count, &passed), "recvmsg",
      "Unix socket")
    return Received(
      count: count, descriptor: passed < 0 ? nil : FileDescriptor(owning: passed))
  }
}
