package import KVCore

/// The most that a TCP socket buffers (tcp(7), `tcp_wmem` and `tcp_rmem`).
package struct SocketBuffers: Hashable, Sendable {
  package let sending: ByteCount
  package let receiving: ByteCount

  package init(sending: ByteCount, receiving: ByteCount) {
    self.sending = sending
    self.receiving = receiving
  }

  /// As the system is set now; nil where it cannot be read.
  package static func current() -> SocketBuffers? {
    guard let sending = most("tcp_wmem"), let receiving = most("tcp_rmem") else { return nil }
    return SocketBuffers(sending: sending, receiving: receiving)
  }

  /// The last of three numbers: least, default, most.
  private static func most(_ name: String) -> ByteCount? {
    SystemFile.line("/proc/sys/net/ipv4/" + name)?.split(whereSeparator: \.isWhitespace).last
      .flatMap { Int($0) }.map { ByteCount($0) }
  }
}
