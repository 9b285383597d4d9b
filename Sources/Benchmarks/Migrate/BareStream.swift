import KVCore
import Platform
import Synchronization

/// What sockets can do at best: the same blocks, sent one after the other by one thread for each
/// connection when eight bytes ask for them, without a ticket, a link or a check.
struct BareStream: Sendable {
  private final class Connection: Sendable {
    let socket: TCPSocket

    init(_ socket: consuming TCPSocket) { self.socket = socket }
  }

  private let connections: [Connection]
  private let targets: [UInt]
  private let blockBytes: Int

  /// - Parameter targets: where each block goes.
  init(port: UInt16, lanes: Int, targets: [UInt], blockBytes: Int) throws(BatonError) {
    self.targets = targets
    self.blockBytes = blockBytes
    connections = try (0..<min(lanes, targets.count)).map { _ throws(BatonError) in
      Connection(
        try TCPSocket.connect(
          host: "127.0.0.1", port: port,
          timeoutMilliseconds: BenchmarkLimits.streamMilliseconds))
    }
  }

  /// Brings all blocks, each connection its part of them.
  func run() throws(BatonError) {
    let failure = Mutex<BatonError?>(nil)
    let share = (targets.count + connections.count - 1) / connections.count
    var threads: [PlatformThread] = []
    for (place, connection) in connections.enumerated().dropFirst() {
      threads.append(
        try PlatformThread.start(name: "bench-stream") {
          do throws(BatonError) {
            try bring(place * share, share, over: connection)
          } catch {
            failure.withLock { $0 = error }
          }
        })
    }
    try bring(0, share, over: connections[0])
    for thread in threads { thread.join() }
    if let error = failure.withLock({ $0 }) { throw error }
  }

  private func bring(
    _ first: Int, _ count: Int, over connection: Connection
  ) throws(BatonError) {
    let places = first..<min(first + count, targets.count)
    guard !places.isEmpty else { return }
    try connection.socket.send(BareStreamServer.request(places))
    var parts = MemoryParts(capacity: places.count)
    for place in places { parts.append(address: targets[place], length: blockBytes) }
    try connection.socket.receive(into: &parts)
  }
}

/// The other end, in the process that owns the pool; it ends with the process.
final class BareStreamServer: Sendable {
  private let listener: TCPListener
  private let blocks: [UInt]
  private let blockBytes: Int

  var port: UInt16 { listener.port }

  init(blocks: [UInt], blockBytes: Int) throws(BatonError) {
    self.blocks = blocks
    self.blockBytes = blockBytes
    listener = try TCPListener(host: "127.0.0.1", port: 0, backlog: 64)
    _ = try PlatformThread.start(name: "bench-accept") { [self] in
      while let socket = try? listener.accept() { start(socket) }
    }
  }

  static func request(_ places: Range<Int>) -> [UInt8] {
    let numbers = [UInt32(places.lowerBound), UInt32(places.count)]
    return numbers.flatMap { number in
      (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }
  }

  private func start(_ socket: consuming TCPSocket) {
    final class Connection: Sendable {
      let socket: TCPSocket

      init(_ socket: consuming TCPSocket) { self.socket = socket }
    }
    let connection = Connection(socket)
    _ = try? PlatformThread.start(name: "bench-stream") { [self] in
      while let request = try? connection.socket.receive(count: 8) {
        let numbers = [0, 4].map { start in
          request[start..<start + 4].reversed().reduce(0) { $0 << 8 | Int($1) }
        }
        let end = numbers[0] + numbers[1]
        guard end <= blocks.count else { return }
        var parts = MemoryParts(capacity: numbers[1])
        for block in blocks[numbers[0]..<end] { parts.append(address: block, length: blockBytes) }
        guard (try? connection.socket.send(&parts)) != nil else { return }
      }
    }
  }
}
