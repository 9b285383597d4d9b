import BatonRuntime
import ControlProtocol
import KVCore
import Logging
import NIOPosix
import ProxyService
import ServiceLifecycle
import Testing

@Suite("The HTTP edge's states", .timeLimit(.minutes(1))) struct EdgeStatusTests {
  /// A fleet that begins to answer and then waits for ever.
  private func hanging(models: [ServedModel], readiness: Readiness = .ready) -> ScriptedBackend {
    ScriptedBackend(models: models, readiness: readiness) { _, continuation in
      continuation.yield(.tokens(ByteTokenizer.tokens("a")))
    }
  }

  @Test("tells of one model, and 404 of another name")
  func model() async throws {
    try await EdgeFixture.run(hanging(models: [try ByteTokenizer.model()])) { port in
      try await EdgeConnection.open(port: port) { connection in
        try await connection.send("GET", "/v1/models/b%79tes")
        let found = try await connection.readResponse()
        #expect(found.status == 200)
        #expect(found.body.hasPrefix(#"{"id":"bytes","object":"model""#))
        try await connection.send("GET", "/v1/models/gpt")
        let unknown = try await connection.readResponse()
        #expect(unknown.status == 404)
        #expect(unknown.body.contains(#""code":"model_not_found""#))
        try await connection.send(
          "POST", "/v1/completions", body: #"{"model": "gpt", "prompt": "a"}"#)
        let completion = try await connection.readResponse()
        #expect(completion.status == 404)
        #expect(completion.body.contains(#"\"gpt\""#) && completion.body.contains(#"\"bytes\""#))
      }
    }
  }

  @Test("says which methods a path takes, and answers HEAD without a body")
  func methods() async throws {
    try await EdgeFixture.run(hanging(models: [try ByteTokenizer.model()])) { port in
      try await EdgeConnection.open(port: port) { connection in
        try await connection.send("GET", "/v1/completions")
        #expect(try await connection.readResponse().field("allow") == "POST")
        try await connection.send("DELETE", "/v1/models")
        #expect(try await connection.readResponse().field("allow") == "GET, HEAD")
        try await connection.send("HEAD", "/health")
        let head = try await connection.readHead()
        #expect(head.status == 200)
        #expect(head.field("content-length") == "3")
        // A body would stand before this answer.
        try await connection.send("GET", "/health")
        #expect(try await connection.readResponse().body == "ok\n")
      }
    }
  }

  @Test("refuses a port that is in use, with its number")
  func portInUse() async throws {
    try await EdgeFixture.run(hanging(models: [try ByteTokenizer.model()])) { port in
      let error = try await #require(throws: BatonError.self) {
        try await EdgeFixture.server(self.hanging(models: []), port: port).run()
      }
      #expect(error.code == .invalidArgument)
      #expect(error.message.contains("--port") && error.message.contains("127.0.0.1:\(port)"))
    }
  }

  @Test("tells the clients of answers in progress that the server stops")
  func shutdown() async throws {
    let (urls, continuation) = AsyncStream<String>.makeStream()
    let server = EdgeFixture.server(
      hanging(models: [try ByteTokenizer.model()]), drainTime: .zero
    ) { url, _ in continuation.yield(url) }
    let group = ServiceGroup(services: [server], logger: EdgeFixture.logger)
    async let running: Void = group.run()
    let port = try await EdgeFixture.port(in: urls)
    try await EdgeConnection.open(port: port) { streamed in
      try await streamed.send(
        "POST", "/v1/completions", body: EdgeFixture.body(#""stream": true"#))
      _ = try await streamed.readHead()
      _ = try await streamed.read(through: "data: ")
      await group.triggerGracefulShutdown()
      let rest = try await streamed.read(through: "\r\n0\r\n")
      #expect(rest.contains(#"{"error":{"message":"the server is stopping""#))
    }
    try await running
  }
}
