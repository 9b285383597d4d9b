import ControlProtocol
import Glibc
import KVCore
import Platform
import Synchronization

/// Accepts data connections and serves them: one thread accepts, one sends for each connection.
final class DataServer: Sendable {
  private let service: Service
  private let thread: PlatformThread
  /// As in `TCPEndpoint.addresses`.
  let advertisedAddresses: [String]

  /// Throws `unavailable` for an address that cannot be served, `resourceExhausted` if the system
  /// gives no more descriptors or threads.
  init(options: MigrationOptions, grants: GrantTable) throws(BatonError) {
    let service = try Service(options: options, grants: grants)
    self.service = service
    advertisedAddresses = zip(options.dataListeners, service.listeners).map { wanted, listener in
      let host = wanted.advertisedHost
      return host.contains(":") ? "[\(host)]:\(listener.port)" : "\(host):\(listener.port)"
    }
    thread = try PlatformThread.start(name: "baton-data") { service.accept() }
  }

  /// Lets the link's data connections read `regions` from now on; what it had before ends.
  func offer(_ link: LinkID, keys: DataKeys, regions: [MemoryRegion]) {
    service.end(link)
    service.state.withLock { state in
      state.nextID += 1
      state.offers[link] = DataOffer(id: state.nextID, keys: keys, regions: regions)
    }
  }

  /// Ends the link's offer and its connections.
  func end(_ link: LinkID) { service.end(link) }

  /// Ends everything; waits for the thread that accepts.
  func close() {
    service.stop.set()
    thread.join()
    service.endAll()
  }

  deinit { close() }
}

/// What a link may read, and how its connections prove that they are its.
struct DataOffer: Sendable {
  /// Tells it from a later one of the same link.
  let id: UInt64
  let keys: DataKeys
  let regions: [MemoryRegion]
}

/// What the threads of the server work on.
private final class Service: Sendable {
  /// A listener that an array can hold.
  final class Listener: Sendable {
    let socket: TCPListener
    var port: UInt16 { socket.port }

    init(_ socket: consuming TCPListener) { self.socket = socket }
  }

  struct Connection: Sendable {
    let socket: DataSocket
    /// Nil until it has proven whose it is.
    var link: LinkID?
  }

  struct State: Sendable {
    var offers: [LinkID: DataOffer] = [:]
    var connections: [UInt64: Connection] = [:]
    var nextID: UInt64 = 0
  }

  let stop: EventSignal
  let listeners: [Listener]
  let state = Mutex(State())
  private let options: MigrationOptions
  private let grants: GrantTable

  init(options: MigrationOptions, grants: GrantTable) throws(BatonError) {
    self.options = options
    self.grants = grants
    stop = try EventSignal()
    listeners = try options.dataListeners.map { wanted throws(BatonError) in
      Listener(
        try TCPListener(
          host: wanted.host, port: wanted.port, backlog: CInt(MigrationLimits.maximumStrangers)))
    }
  }

  /// Accepts until `stop` is set.
  func accept() {
    while true {
      var polled = [pollfd(fd: stop.descriptor.rawValue, events: Int16(POLLIN), revents: 0)]
      polled += listeners.map {
        pollfd(fd: $0.socket.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
      }
      guard unsafe poll(&polled, nfds_t(polled.count), -1) > 0 else { continue }
      if polled[0].revents != 0 { return }
      for (place, listener) in listeners.enumerated() where polled[place + 1].revents != 0 {
        do throws(BatonError) {
          start(DataSocket(try listener.socket.accept()))
        } catch {
          // Without room for a descriptor the connection waits; nothing but time gives room.
          if error.code == .resourceExhausted { pause() }
        }
      }
    }
  }

  private func pause() {
    var polled = pollfd(fd: stop.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
    _ = unsafe poll(&polled, 1, CInt(MigrationLimits.acceptPauseMilliseconds))
  }

  private func start(_ socket: DataSocket) {
    let (id, displaced): (UInt64?, DataSocket?) = state.withLock { state in
      guard state.connections.count < MigrationLimits.maximumDataConnections else {
        return (nil, nil)
      }
      let strangers = state.connections.filter { $0.value.link == nil }
      let oldest =
        strangers.count < MigrationLimits.maximumStrangers ? nil : strangers.keys.min()
      state.nextID += 1
      state.connections[state.nextID] = Connection(socket: socket)
      return (state.nextID, oldest.flatMap { strangers[$0]?.socket })
    }
    displaced?.shutDown()
    guard let id else {
      try? socket.socket.send(DataHandshake.Welcome.refusal(.full).bytes)
      return
    }
    do throws(BatonError) {
      _ = try PlatformThread.start(name: "baton-data-send") { self.serve(socket, id: id) }
    } catch {
      state.withLock { _ = $0.connections.removeValue(forKey: id) }
    }
  }

  private func serve(_ socket: DataSocket, id: UInt64) {
    defer { state.withLock { _ = $0.connections.removeValue(forKey: id) } }
    do throws(BatonError) {
      let (link, offer) = try admit(socket)
      // The link may have ended, or been offered anew, while its connection proved itself.
      let isCurrent = state.withLock { state in
        state.connections[id]?.link = link
        return state.offers[link]?.id == offer.id
      }
      guard isCurrent else { return }
      var session = DataSession(
        socket: socket, link: link, regions: offer.regions, grants: grants)
      try session.serve()
    } catch {
      // The reader finds the connection closed, and says why itself where it matters.
    }
  }

  /// The owner's side of the handshake.
  private func admit(_ socket: DataSocket) throws(BatonError) -> (LinkID, DataOffer) {
    try socket.socket.setTimeouts(
      receivingMilliseconds: MigrationLimits.handshakeMilliseconds,
      sendingMilliseconds: MigrationLimits.handshakeMilliseconds)
    let received = try socket.socket.receive(count: DataHandshake.Opening.byteCount)
    guard let opening = DataHandshake.Opening(received) else {
      try socket.socket.send(DataHandshake.Welcome.refusal(.malformed).bytes)
      throw BatonError(.protocolViolation, "no opening of a data connection")
    }
    guard let offer = state.withLock({ $0.offers[opening.link] }) else {
      try socket.socket.send(DataHandshake.Welcome.refusal(.linkUnknown).bytes)
      throw BatonError(.unavailable, "link \(opening.link) offers nothing")
    }
    var welcome = DataHandshake.Welcome(
      status: .welcome, nonce: DataHandshake.randomBytes(DataHandshake.nonceBytes), codes: [])
    let transcript = received + welcome.head
    welcome.codes = offer.keys.codes(of: .owner, over: transcript)
    try socket.socket.send(welcome.bytes)
    let codes = try socket.socket.receive(count: DataHandshake.codesBytes)
    guard offer.keys.accept(codes, of: .reader, over: transcript) else {
      throw BatonError(.unauthenticated, "link \(opening.link): the reader's proof is wrong")
    }
    // Between requests a reader may be silent for as long as it lives.
    try socket.socket.setTimeouts(
      receivingMilliseconds: 0, sendingMilliseconds: options.progressTimeoutMilliseconds)
    return (opening.link, offer)
  }

  func end(_ link: LinkID) {
    let ended = state.withLock { state in
      state.offers[link] = nil
      return state.connections.values.filter { $0.link == link }.map(\.socket)
    }
    for socket in ended { socket.shutDown() }
  }

  func endAll() {
    let ended = state.withLock { state in
      state.offers = [:]
      return state.connections.values.map(\.socket)
    }
    for socket in ended { socket.shutDown() }
  }
}
