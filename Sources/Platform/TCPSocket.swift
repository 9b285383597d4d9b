import CLinux
import Glibc
package import KVCore

/// A connected TCP socket for bulk data, which blocks the thread that uses it.
package struct TCPSocket: ~Copyable, Sendable {
  package let descriptor: FileDescriptor

  init(descriptor: consuming FileDescriptor) { self.descriptor = descriptor }

  /// Connects to the first address of `host` that answers.
  ///
  /// - Parameter timeoutMilliseconds: how long connecting may take, and then how long a send or
  ///   receive may wait without a byte.
  ///
  /// Throws `peerGone` if nobody listens there, `deadlineExceeded` when the time is up,
  /// `unavailable` for a host that is not known or not reachable.
  package static func connect(
    host: String, port: UInt16, timeoutMilliseconds: UInt32
  ) throws(BatonError) -> TCPSocket {
    TCPSocket(
      descriptor: FileDescriptor(
        owning: try unsafe check(
          clinux_tcp_connect(host, port, timeoutMilliseconds), "connect", "\(host):\(port)")))
  }

  /// How long a receive or a send may wait without a byte, before it throws `deadlineExceeded`; 0
  /// for ever.
  package borrowing func setTimeouts(
    receivingMilliseconds: UInt32, sendingMilliseconds: UInt32
  ) throws(BatonError) {
    _ = try check(
      clinux_set_timeouts(descriptor.rawValue, receivingMilliseconds, sendingMilliseconds),
      "setsockopt SO_RCVTIMEO", "data connection")
  }

  /// Sends all parts, which are gone afterwards.
  ///
  /// Throws `peerGone` when the other side has closed, `deadlineExceeded` when it takes nothing.
  package borrowing func send(_ parts: inout MemoryParts) throws(BatonError) {
    let descriptor = descriptor.rawValue
    let result = unsafe parts.take { unsafe clinux_send_all(descriptor, $0, $1) }
    _ = try check(result ?? 0, "sendmsg", "data connection")
  }

  /// Fills all parts, which are gone afterwards.
  ///
  /// Throws as `send` does.
  package borrowing func receive(into parts: inout MemoryParts) throws(BatonError) {
    let descriptor = descriptor.rawValue
    let result = unsafe parts.take { unsafe clinux_receive_all(descriptor, $0, $1) }
    _ = try check(result ?? 0, "recvmsg", "data connection")
  }

  /// Waits for some bytes and stores up to `capacity` of them from `address` on.
  ///
  /// Throws as `send` does.
  package borrowing func receiveSome(
    at address: UInt, capacity: Int
  ) throws(BatonError) -> Int {
    guard let start = unsafe UnsafeMutableRawPointer(bitPattern: address), capacity > 0 else {
      preconditionFailure("there is room at an address")
    }
    return try unsafe check(
      clinux_receive_some(descriptor.rawValue, start, capacity), "recv", "data connection")
  }

  package borrowing func send(_ bytes: [UInt8]) throws(BatonError) {
    let descriptor = descriptor.rawValue
    // Only lent: nothing is written to what is sent.
    var bytes = bytes
    let result = unsafe bytes.withUnsafeMutableBytes { buffer in
      var part = unsafe iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
      return unsafe clinux_send_all(descriptor, &part, 1)
    }
    _ = try check(result, "sendmsg", "data connection")
  }

  /// The next `count` bytes.
  package borrowing func receive(count: Int) throws(BatonError) -> [UInt8] {
    let descriptor = descriptor.rawValue
    var bytes = [UInt8](repeating: 0, count: count)
    let result = unsafe bytes.withUnsafeMutableBytes { buffer in
      var part = unsafe iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
      return unsafe clinux_receive_all(descriptor, &part, 1)
    }
    _ = try check(result, "recvmsg", "data connection")
    return bytes
  }

  /// Ends the connection for whoever uses it on another thread: shutdown(2), which wakes them.
  package borrowing func shutDown() { _ = Glibc.shutdown(descriptor.rawValue, CInt(SHUT_RDWR)) }
}
