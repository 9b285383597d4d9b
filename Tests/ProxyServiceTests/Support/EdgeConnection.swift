import NIOCore
import NIOPosix

/// A client's connection that sees the bytes of HTTP as they are.
struct EdgeConnection {
  struct Response {
    var head: String
    var body: String

    var status: Int { Int(head.split(separator: " ")[1]) ?? 0 }

    func field(_ name: String) -> String? {
      head.split(separator: "\r\n").dropFirst().lazy
        .map { $0.split(separator: ": ", maxSplits: 1) }
        .first { $0[0].lowercased() == name }
        .map { String($0[1]) }
    }
  }

  /// The connection ended before what was waited for had come.
  struct Closed: Error {}

  private var inbound: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
  private let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
  private var received = ""

  /// Calls `body` with a connection to `port`, then closes it.
  static func open<Result>(
    port: Int, _ body: (inout EdgeConnection) async throws -> Result
  ) async throws -> Result {
    let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .connect(host: "127.0.0.1", port: port) { channel in
        channel.eventLoop.makeCompletedFuture {
          try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
        }
      }
    return try await channel.executeThenClose { inbound, outbound in
      var connection = EdgeConnection(inbound: inbound.makeAsyncIterator(), outbound: outbound)
      return try await body(&connection)
    }
  }

  private init(
    inbound: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator,
    outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
  ) {
    self.inbound = inbound
    self.outbound = outbound
  }

  func send(_ method: String, _ path: String, body: String = "") async throws {
    try await send(
      "\(method) \(path) HTTP/1.1\r\nhost: x\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)")
  }

  /// Sends bytes as they are.
  func send(_ bytes: String) async throws {
    try await outbound.write(ByteBuffer(string: bytes))
  }

  /// Waits until `text` has come; returns what came up to its end.
  mutating func read(through text: String) async throws -> String {
    while true {
      if let range = received.firstRange(of: text) {
        defer { received = String(received[range.upperBound...]) }
        return String(received[..<range.upperBound])
      }
      guard let more = try await inbound.next(isolation: #isolation) else { throw Closed() }
      received += String(buffer: more)
    }
  }

  /// Waits for the end of the connection.
  mutating func readToEnd() async throws {
    while try await inbound.next(isolation: #isolation) != nil {}
  }

  mutating func readHead() async throws -> Response {
    Response(head: try await read(through: "\r\n\r\n"), body: "")
  }

  /// Waits for a whole response, chunks put together.
  mutating func readResponse() async throws -> Response {
    var response = try await readHead()
    if response.field("transfer-encoding") == "chunked" {
      while true {
        let size = Int(try await read(through: "\r\n").dropLast(1), radix: 16) ?? 0
        response.body += try await readBytes(size)
        _ = try await read(through: "\r\n")
        if size == 0 { return response }
      }
    }
    response.body = try await readBytes(response.field("content-length").flatMap { Int($0) } ?? 0)
    return response
  }

  private mutating func readBytes(_ count: Int) async throws -> String {
    while received.utf8.count < count {
      guard let more = try await inbound.next(isolation: #isolation) else { throw Closed() }
      received += String(buffer: more)
    }
    let end = received.utf8.index(received.startIndex, offsetBy: count)
    defer { received = String(received[end...]) }
    return String(received[..<end])
  }
}
