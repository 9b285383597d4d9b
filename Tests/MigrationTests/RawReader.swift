import ControlProtocol
import KVCore
import Platform
import Synchronization

/// The reader's side of a data connection, written from the protocol's text and byte by byte.
struct RawReader: Sendable {
  private let connection: Relay.Connection

  /// Opens a connection and proves itself.
  init(port: UInt16, link: LinkID, salt: [UInt8]) throws(BatonError) {
    connection = Relay.Connection(
      try TCPSocket.connect(host: "127.0.0.1", port: port, timeoutMilliseconds: 30_000))
    let opening = Self.opening(link)
    try connection.socket.send(opening)
    let welcome = try connection.socket.receive(count: 104)
    let keys = DataKeys(clusterKeys: nil, salt: salt, link: link)
    let transcript = opening + welcome[..<40]
    guard keys.accept(Array(welcome[40...]), of: .owner, over: transcript) else {
      throw BatonError(.unauthenticated, "the owner's codes are wrong")
    }
    try connection.socket.send(keys.codes(of: .reader, over: transcript))
  }

  /// The owner's answer to an opening.
  static func welcome(port: UInt16, link: LinkID) throws(BatonError) -> [UInt8]? {
    let socket = try TCPSocket.connect(
      host: "127.0.0.1", port: port, timeoutMilliseconds: 30_000)
    try socket.send(opening(link))
    return try socket.receive(count: 104)
  }

  private static func opening(_ link: LinkID) -> [UInt8] {
    Array("BTNT".utf8) + [1, 0, 0, 0] + bytes(link.rawValue) + (0..<32).map { UInt8($0) }
  }

  /// Asks for one extent of region 0.
  func ask(ticket: TicketID, offset: Int, length: Int) throws(BatonError) {
    try connection.socket.send(
      Self.bytes(UInt64(7)) + Self.bytes(ticket.high) + Self.bytes(ticket.low)
        + Self.bytes(UInt32(1)) + Self.bytes(UInt32(0)) + Self.bytes(UInt32(0))
        + Self.bytes(UInt32(length)) + Self.bytes(UInt64(offset)))
  }

  /// Returns when the owner has begun to send.
  func waitForAnswer() throws(BatonError) {
    let head = try connection.socket.receive(count: 16)
    guard head == Self.bytes(UInt64(7)) + Self.bytes(UInt64(0)) else {
      throw BatonError(.protocolViolation, "answered with \(head)")
    }
  }

  func close() { connection.socket.shutDown() }

  private static func bytes<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    (0..<Number.bitWidth / 8).map { UInt8(truncatingIfNeeded: number >> Number(8 * $0)) }
  }
}

/// Something that happens once, on another thread.
final class Signal: Sendable {
  private struct State: Sendable {
    var isSet = false
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())

  var isSet: Bool { state.withLock(\.isSet) }

  func set() {
    let waiters = state.withLock { state in
      state.isSet = true
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  func wait() async {
    await withCheckedContinuation { continuation in
      let isSet = state.withLock { state in
        if !state.isSet { state.waiters.append(continuation) }
        return state.isSet
      }
      if isSet { continuation.resume() }
    }
  }
}

/// What callbacks have told, in order.
final class Told: Sendable {
  private let lines = Mutex<[String]>([])

  var all: [String] { lines.withLock { $0 } }

  func add(_ line: String) { lines.withLock { $0.append(line) } }
}
