import Glibc
import KVCore
import Platform
import Synchronization

/// Hands memory descriptors to peers on the node, over a Unix socket of our own: a random name in
/// the abstract namespace, one thread, one message each way per connection.
///
/// It answers processes of root or of its own user, who name a token that is good once.
final class DescriptorServer: Sendable {
  private let service: Service
  private let thread: PlatformThread

  /// - Parameters:
  ///   - identity: what the server says that it is.
  ///   - liveness: whose words are given out, and who is told of those that come.
  ///
  /// Throws `resourceExhausted` if the system gives no more descriptors or threads.
  init(identity: LinkPeer, liveness: LivenessMonitor) throws(BatonError) {
    let service = try Service(identity: identity, liveness: liveness)
    self.service = service
    thread = try PlatformThread.start(name: "baton-shm-fd") { service.serve() }
  }

  /// As in `SharedMemoryEndpoint.socketName`.
  var socketName: String { service.listener.name }

  /// Offers `file` to `peer` and returns the token; the link's last one is void.
  func offer(link: LinkID, peer: LinkPeer, file: SharedMemoryFile) -> [UInt8] {
    let token = Self.randomBytes(MigrationLimits.tokenBytes)
    service.offers.withLock { $0.add(link: link, token: token, peer: peer, file: file) }
    return token
  }

  func withdraw(link: LinkID) {
    service.offers.withLock { $0.remove(link: link) }
  }

  /// Stops listening; waits for the thread.
  func close() {
    service.stop.set()
    thread.join()
  }

  deinit { close() }

  /// From the system's cryptographic generator (getrandom(2)).
  fileprivate static func randomBytes(_ count: Int) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    return (0..<count).map { _ in generator.next() }
  }
}

/// What the server's thread works on.
private final class Service: Sendable {
  /// A connection that has not asked yet.
  private final class Waiting {
    let socket: UnixSocket
    let deadline: ContinuousClock.Instant

    init(socket: consuming UnixSocket, deadline: ContinuousClock.Instant) {
      self.socket = socket
      self.deadline = deadline
    }
  }

  let identity: LinkPeer
  let liveness: LivenessMonitor
  let listener: UnixListener
  let stop: EventSignal
  let offers = Mutex(DescriptorOffers())

  init(identity: LinkPeer, liveness: LivenessMonitor) throws(BatonError) {
    self.identity = identity
    self.liveness = liveness
    stop = try EventSignal()
    listener = try UnixListener(
      name: "@baton-" + Hexadecimal.string(DescriptorServer.randomBytes(16)),
      backlog: CInt(MigrationLimits.maximumWaitingConnections))
  }

  /// Answers until `stop` is set. Nobody who connects can make the others wait: connections are
  /// read only when they have something, and closed when they have nothing for too long.
  func serve() {
    var waiting: [Waiting] = []
    var pausedUntil: ContinuousClock.Instant?
    while true {
      let now = ContinuousClock.now
      waiting.removeAll { $0.deadline <= now }
      if let until = pausedUntil, until <= now { pausedUntil = nil }
      var polled = [
        pollfd(fd: stop.descriptor.rawValue, events: Int16(POLLIN), revents: 0),
        // poll(2) leaves out negative descriptors.
        pollfd(
          fd: pausedUntil == nil ? listener.descriptor.rawValue : -1, events: Int16(POLLIN),
          revents: 0),
      ]
      polled += waiting.map {
        pollfd(fd: $0.socket.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
      }
      let next = (waiting.map(\.deadline) + [pausedUntil].compactMap(\.self)).min()
      let ready = unsafe poll(&polled, nfds_t(polled.count), Self.milliseconds(until: next, now))
      guard ready > 0 else { continue }
      if polled[0].revents != 0 { return }
      for index in waiting.indices.reversed() where polled[index + 2].revents != 0 {
        answer(waiting.remove(at: index).socket)
      }
      guard polled[1].revents != 0 else { continue }
      if !accept(into: &waiting) {
        pausedUntil = .now + .milliseconds(Int(MigrationLimits.acceptPauseMilliseconds))
      }
    }
  }

  /// For poll(2): rounded up, so that the deadline has passed when it returns; -1 without one.
  private static func milliseconds(
    until next: ContinuousClock.Instant?, _ now: ContinuousClock.Instant
  ) -> CInt {
    guard let next else { return -1 }
    return CInt(max(0, (next - now) / .milliseconds(1)).rounded(.up))
  }

  /// Takes one connection; false if the system had no room for it.
  private func accept(into waiting: inout [Waiting]) -> Bool {
    do throws(BatonError) {
      let socket = try listener.accept()
      guard try socket.peerCredentials().isTrusted else { return true }
      try socket.setTimeout(milliseconds: MigrationLimits.requestMilliseconds)
      if waiting.count >= MigrationLimits.maximumWaitingConnections { waiting.removeFirst() }
      waiting.append(
        Waiting(
          socket: socket,
          deadline: .now + .milliseconds(Int(MigrationLimits.requestMilliseconds))))
      return true
    } catch {
      return error.code != .resourceExhausted
    }
  }

  /// Reads the one request of a connection that has something to read, and answers it.
  private func answer(_ socket: borrowing UnixSocket) {
    var buffer = [UInt8](repeating: 0, count: DescriptorMessage.maximumBytes)
    // A peer that is gone or sends too much is not answered: there is nobody who would read it.
    guard var received = try? socket.receive(into: &buffer), received.count > 0 else { return }
    var result: (status: DescriptorMessage.Status, offer: DescriptorOffers.Offer?)
    do throws(BatonError) {
      let request = try DescriptorMessage(
        decoding: buffer[..<received.count], tokenBytes: MigrationLimits.tokenBytes)
      result = offers.withLock { $0.redeem(request) }
      if let link = result.offer?.link, let word = request.word {
        try watch(link, word: word, in: received.takeDescriptor(), of: request.speaker.engine)
      }
    } catch {
      result = (.malformed, nil)
    }
    let own = result.offer.flatMap { liveness.own(of: $0.link) }
    let reply = DescriptorMessage(status: result.status, speaker: identity, word: own?.word).encoded
    try? socket.send(reply, passing: result.offer?.file)
    if let own { try? socket.send(reply, passing: own.file) }
  }

  /// Throws `BatonError` for a liveness word that does not come as it should.
  private func watch(
    _ link: LinkID, word: UInt8, in descriptor: consuming FileDescriptor?, of peer: EngineID
  ) throws(BatonError) {
    guard let descriptor else {
      throw BatonError(.protocolViolation, "\(peer) speaks of a liveness word and sends none")
    }
    liveness.watch(
      link, peer: try PeerLivenessWord(received: descriptor, word: Int(word), peer: peer))
  }
}
