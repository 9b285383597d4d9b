import KVCore
import Platform
import Synchronization

/// A TCP connection's way with faults: passes bytes on between readers and one owner until it is
/// told otherwise, each connection for itself.
final class Relay: Sendable {
  /// What becomes of a connection.
  enum Fault: Sendable {
    case none
    /// It ends after so many bytes of the owner's.
    case cut(afterBytes: Int)
    /// It brings nothing more after so many bytes of the owner's, and does not end.
    case stall(afterBytes: Int)
  }

  final class Connection: Sendable {
    let socket: TCPSocket

    init(_ socket: consuming TCPSocket) { self.socket = socket }
  }

  private struct State: Sendable {
    var faults: [Fault]
    var connections: [Connection] = []
    var opened = 0
    var bytes = 0
  }

  private let listener: TCPListener
  private let target: UInt16
  private let state: Mutex<State>

  /// - Parameters:
  ///   - target: a port on loopback.
  ///   - faults: of the first connections, in the order in which they are opened.
  init(to target: UInt16, faults: [Fault] = []) throws(BatonError) {
    self.target = target
    listener = try TCPListener(host: "127.0.0.1", port: 0, backlog: 64)
    state = Mutex(State(faults: faults))
    _ = try PlatformThread.start(name: "relay") { [self] in
      while let socket = try? listener.accept() { start(socket) }
    }
  }

  var address: String { "127.0.0.1:\(listener.port)" }
  /// Connections so far.
  var opened: Int { state.withLock(\.opened) }
  /// Of the owner's, passed on.
  var bytes: Int { state.withLock(\.bytes) }

  /// Ends all connections, as a device on the way does that forgets them.
  func cutAll() {
    let connections = state.withLock { state in
      defer { state.connections = [] }
      return state.connections
    }
    for connection in connections { connection.socket.shutDown() }
  }

  private func start(_ socket: consuming TCPSocket) {
    let reader = Connection(socket)
    guard
      let owner = try? Connection(
        TCPSocket.connect(host: "127.0.0.1", port: target, timeoutMilliseconds: 30_000))
    else { return reader.socket.shutDown() }
    let fault = state.withLock { state in
      state.connections += [reader, owner]
      state.opened += 1
      return state.faults.isEmpty ? .none : state.faults.removeFirst()
    }
    _ = try? PlatformThread.start(name: "relay-up") {
      while let byte = try? reader.socket.receive(count: 1) {
        guard (try? owner.socket.send(byte)) != nil else { break }
      }
      owner.socket.shutDown()
    }
    _ = try? PlatformThread.start(name: "relay-down") { [self] in
      passDown(from: owner, to: reader, fault)
      reader.socket.shutDown()
      owner.socket.shutDown()
    }
  }

  private func passDown(from owner: Connection, to reader: Connection, _ fault: Fault) {
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: 64 << 10, alignment: 16)
    defer { unsafe buffer.deallocate() }
    let address = UInt(bitPattern: buffer)
    var parts = MemoryParts(capacity: 1)
    var passed = 0
    while let count = try? owner.socket.receiveSome(at: address, capacity: 64 << 10) {
      switch fault {
      case .cut(let limit) where passed >= limit: return
      // Reads on, so that the owner finds nothing amiss.
      case .stall(let limit) where passed >= limit: continue
      default: break
      }
      parts.append(address: address, length: count)
      guard (try? reader.socket.send(&parts)) != nil else { return }
      passed += count
      state.withLock { $0.bytes += count }
    }
  }
}
