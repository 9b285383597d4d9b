package import ControlProtocol
package import KVCore
internal import NIOCore

/// Where a control port is: TCP, or a Unix socket by path or abstract name.
package enum ControlAddress: Hashable, Sendable, CustomStringConvertible {
  case tcp(host: String, port: Int)
  /// `@name` is abstract: the name after the `@`, padded with NUL to the whole of `sun_path`.
  case unix(path: String)

  /// Reads `HOST:PORT`, `[::1]:PORT`, `unix:/path` or `unix:@name`.
  ///
  /// Throws `invalidArgument`, which says what is right, for anything else.
  package init(_ text: String) throws(BatonError) {
    if text.hasPrefix("unix:") {
      let path = String(text.dropFirst("unix:".count))
      guard path.hasPrefix("/") || path.hasPrefix("@"), path.utf8.count > 1,
        path.utf8.count <= TransportLimits.maximumSocketPathBytes, !path.utf8.contains(0)
      else { throw Self.unreadable(text) }
      self = .unix(path: path)
      return
    }
    guard let colon = text.lastIndex(of: ":"),
      text[text.index(after: colon)...].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let port = UInt16(text[text.index(after: colon)...])
    else { throw Self.unreadable(text) }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      throw Self.unreadable(text)
    }
    guard !host.isEmpty, !host.contains(where: { "[]/ @".contains($0) }) else {
      throw Self.unreadable(text)
    }
    self = .tcp(host: String(host), port: Int(port))
  }

  private static func unreadable(_ text: String) -> BatonError {
    BatonError(
      .invalidArgument,
      "address \"\(text)\": HOST:PORT, [IPV6]:PORT, unix:/PATH or unix:@NAME is right, "
        + "a port is 0 to 65535, a path or name at most "
        + "\(TransportLimits.maximumSocketPathBytes) bytes")
  }

  /// The text that `init` reads.
  package var description: String {
    switch self {
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }

  /// Whether only processes of this machine reach a socket that is bound here.
  ///
  /// Of host names only `localhost` is taken to be local; of numbers 127.0.0.0/8 (RFC 1122,
  /// 3.2.1.3) and ::1 (RFC 4291, 2.5.3).
  package var isLocal: Bool {
    switch self {
    case .unix: true
    case .tcp("localhost", _): true
    case .tcp(let host, let port):
      (try? SocketAddress(ipAddress: host, port: port)).map { Self.isLocal($0) } ?? false
    }
  }

  /// The same of the other end of a socket; one without an address is a Unix socket's.
  static func isLocal(_ peer: SocketAddress?) -> Bool {
    switch peer {
    case .v4(let address)?: SocketAddress.v4(address).ipAddress?.hasPrefix("127.") ?? false
    case .v6(let address)?: SocketAddress.v6(address).ipAddress == "::1"
    case .unixDomainSocket, nil: true
    }
  }

  /// The host of a TCP address.
  package var host: String? {
    guard case .tcp(let host, _) = self else { return nil }
    return host
  }

  /// The path of a Unix socket that lies in the file system.
  var filePath: String? {
    guard case .unix(let path) = self, !path.hasPrefix("@") else { return nil }
    return path
  }

  /// The socket address of a Unix socket's path or `@name`.
  static func unixSocketAddress(path: String) throws -> SocketAddress {
    try SocketAddress(
      unixDomainSocketPath: path.hasPrefix("@") ? "\0" + path.dropFirst() : path)
  }

  /// Throws `invalidArgument` for an address that other machines reach, unless they must prove a
  /// cluster key.
  package func requireLocal(unless keys: ClusterKeys?) throws(BatonError) {
    guard isLocal || keys != nil else {
      throw BatonError(
        .invalidArgument,
        "cannot serve \(self) without a cluster key: everybody on the network could ask for "
          + "anything; give every process of the fleet the same --cluster-key-file, or serve "
          + "127.0.0.1, [::1], localhost or unix: only")
    }
  }
}
