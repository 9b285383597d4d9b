import BatonRuntime
import Foundation
import ControlProtocol
import KVCore
import ProxyService
import Testing

@Suite("The HTTP edge", .timeLimit(.minutes(1))) struct EdgeServerTests {
  /// A fleet that answers every prompt with `text` and ends.
  private func answering(_ text: String, reason: FinishReason = .stop) throws -> ScriptedBackend {
    ScriptedBackend(models: [try ByteTokenizer.model()]) { _, continuation in
      continuation.yield(.progress(.handedOver))
      for token in ByteTokenizer.tokens(text) { continuation.yield(.tokens([token])) }
      continuation.yield(.finished(reason, .handedOver))
      continuation.finish()
    }
  }

  /// A fleet that begins to answer and then waits for ever.
  private func hanging(after text: String) throws -> ScriptedBackend {
    ScriptedBackend(models: [try ByteTokenizer.model()]) { _, continuation in
      if !text.isEmpty { continuation.yield(.tokens(ByteTokenizer.tokens(text))) }
    }
  }

  @Test("answers several requests on one connection, whole and streamed")
  func keepAlive() async throws {
    try await EdgeFixture.run(answering("hello")) { port in
      try await EdgeConnection.open(port: port) { connection in
        for _ in 0..<2 {
          try await connection.send("POST", "/v1/completions", body: EdgeFixture.body())
          let whole = try await connection.readResponse()
          #expect(whole.status == 200)
          #expect(whole.field("content-type") == "application/json")
          #expect(whole.field("x-request-id")?.hasPrefix("cmpl-") == true)
          #expect(whole.body.contains(#""text":"hello","logprobs":null,"finish_reason":"stop""#))
          #expect(whole.body.contains(#""usage":{"prompt_tokens":2,"completion_tokens":5,"#))

          try await connection.send(
            "POST", "/v1/completions", body: EdgeFixture.body(#""stream": true"#))
          let streamed = try await connection.readResponse()
          #expect(streamed.status == 200)
          #expect(streamed.field("content-type") == "text/event-stream; charset=utf-8")
          let events = streamed.body.split(separator: "\n\n")
          #expect(events.allSatisfy { $0.hasPrefix("data: ") })
          #expect(events.last == "data: [DONE]")
          let texts = events.compactMap { $0.firstMatch(of: /"text":"(.*?)"/)?.1 }
          #expect(texts.joined() == "hello")
        }
      }
    }
  }

  @Test("asks for a body that the client holds back")
  func expectContinue() async throws {
    try await EdgeFixture.run(answering("hello")) { port in
      try await EdgeConnection.open(port: port) { connection in
        for _ in 0..<2 {
          let body = EdgeFixture.body()
          try await connection.send(
            "POST /v1/completions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
              + "content-length: \(body.utf8.count)\r\n\r\n")
          let goOn = try await connection.read(through: "\r\n\r\n")
          #expect(goOn.hasPrefix("HTTP/1.1 100 "))
          try await connection.send(body)
          #expect(try await connection.readResponse().status == 200)
        }
      }
    }
  }

  @Test("cuts an answer at a stop string and cancels what still runs")
  func stopString() async throws {
    let backend = try hanging(after: "one. two")
    try await EdgeFixture.run(backend) { port in
      try await EdgeConnection.open(port: port) { connection in
        try await connection.send(
          "POST", "/v1/completions", body: EdgeFixture.body(#""stop": ".""#))
        let response = try await connection.readResponse()
        #expect(response.body.contains(#""text":"one","logprobs":null,"finish_reason":"stop""#))
        #expect(response.body.contains(#""completion_tokens":4"#))
      }
    }
    var cancellations = backend.cancellations.makeAsyncIterator()
    _ = await cancellations.next(isolation: #isolation)
  }

  @Test(
    "cancels the request of a client that goes away, before and after the first token",
    arguments: ["", "abc"], [true, false])
  func disconnect(text: String, streams: Bool) async throws {
    let backend = try hanging(after: text)
    let metrics = BatonMetrics()
    try await EdgeFixture.run(backend, metrics: metrics) { port in
      var requests = backend.requests.makeAsyncIterator()
      var cancellations = backend.cancellations.makeAsyncIterator()
      try await EdgeConnection.open(port: port) { connection in
        try await connection.send(
          "POST", "/v1/completions", body: EdgeFixture.body(#""stream": \#(streams)"#))
        _ = await requests.next(isolation: #isolation)
        if streams, !text.isEmpty { _ = try await connection.read(through: "data: ") }
      }
      _ = await cancellations.next(isolation: #isolation)
      while metrics.requests.with("cancelled").value == 0 { await Task.yield() }
    }
  }

  @Test("answers 429 with Retry-After above the limit, and serves again when there is room")
  func tooMany() async throws {
    let backend = try hanging(after: "a")
    try await EdgeFixture.run(backend, maximumConcurrent: 1) { port in
      var requests = backend.requests.makeAsyncIterator()
      var cancellations = backend.cancellations.makeAsyncIterator()
      try await EdgeConnection.open(port: port) { first in
        try await first.send("POST", "/v1/completions", body: EdgeFixture.body())
        _ = await requests.next(isolation: #isolation)
        try await EdgeConnection.open(port: port) { second in
          try await second.send("POST", "/v1/completions", body: EdgeFixture.body())
          let response = try await second.readResponse()
          #expect(response.status == 429)
          #expect(response.field("retry-after") == "1")
        }
      }
      _ = await cancellations.next(isolation: #isolation)
      try await EdgeConnection.open(port: port) { connection in
        var status = 429
        while status == 429 {
          try await connection.send(
            "POST", "/v1/completions", body: EdgeFixture.body(#""stream": true"#))
          status = try await connection.readHead().status
          if status == 429 { _ = try await connection.read(through: "}}") }
        }
        #expect(status == 200)
      }
    }
  }

  /// A fleet whose answer to seed 1 never ends, and comes at a pace that a writer can keep up with
  /// while its client reads.
  private func endless() throws -> ScriptedBackend {
    // Bytes that JSON writes with six: 60 KB a piece.
    let piece = [TokenID](repeating: 1, count: 10_000)
    return ScriptedBackend(models: [try ByteTokenizer.model()]) { request, continuation in
      guard request.sampling.seed == 1 else {
        continuation.yield(.finished(.length, .handedOver))
        continuation.finish()
        return
      }
      Task {
        while case .enqueued = continuation.yield(.tokens(piece)) {
          for _ in 0..<2_000 { await Task.yield() }
        }
      }
    }
  }

  @Test(
    "cuts a client off that stops to read, for what waits or for the time, and serves the next one",
    arguments: [
      (stall: EdgeLimits.stallTime, unread: EdgeLimits.maximumUnreadBytes),
      (stall: Duration.milliseconds(100), unread: Int.max),
    ])
  func stalled(stall: Duration, unread: Int) async throws {
    let backend = try endless()
    try await EdgeFixture.run(
      backend, maximumConcurrent: 1, stallTime: stall, unreadBytes: unread
    ) { port in
      try await EdgeConnection.open(port: port) { stalled in
        try await stalled.send(
          "POST", "/v1/completions", body: EdgeFixture.body(#""stream": true, "seed": 1"#))
        _ = try await stalled.read(through: "data: ")
        try await EdgeConnection.open(port: port) { connection in
          var status = 429
          while status == 429 {
            try Task.checkCancellation()
            try await connection.send("POST", "/v1/completions", body: EdgeFixture.body())
            status = try await connection.readResponse().status
          }
          #expect(status == 200)
        }
      }
    }
  }

  @Test("gives an error before the first token its status, and one after it an event")
  func failures() async throws {
    let error = BatonError(.unavailable, "no engine is left")
    for begun in [false, true] {
      let backend = ScriptedBackend(models: [try ByteTokenizer.model()]) { _, continuation in
        if begun { continuation.yield(.tokens(ByteTokenizer.tokens("a"))) }
        continuation.finish(throwing: error)
      }
      try await EdgeFixture.run(backend) { port in
        try await EdgeConnection.open(port: port) { connection in
          try await connection.send(
            "POST", "/v1/completions", body: EdgeFixture.body(#""stream": true"#))
          let response = try await connection.readResponse()
          #expect(response.status == (begun ? 200 : 503))
          #expect(response.body.contains(#"{"error":{"message":"no engine is left""#))
          #expect((response.field("retry-after") == nil) == begun)
          #expect(response.body.hasSuffix("}}\n\n") == begun)
        }
      }
    }
  }

  @Test(
    "answers in OpenAI's shape what it does not serve",
    arguments: [
      ("GET", "/v2", 404), ("GET", "/v1/completions", 405), ("POST", "/health", 405),
      ("POST", "/v1/completions", 400),
    ])
  func refusals(method: String, path: String, status: Int) async throws {
    try await EdgeFixture.run(answering("a")) { port in
      try await EdgeConnection.open(port: port) { connection in
        try await connection.send(method, path)
        let response = try await connection.readResponse()
        #expect(response.status == status)
        #expect(response.body.hasPrefix(#"{"error":{"message":""#))
      }
    }
  }

  @Test("refuses a body over the limit with status 413")
  func tooLarge() async throws {
    try await EdgeFixture.run(answering("a")) { port in
      try await EdgeConnection.open(port: port) { connection in
        let prompt = String(repeating: "x", count: EdgeLimits.maximumBodyBytes)
        try await connection.send(
          "POST", "/v1/completions", body: #"{"model": "bytes", "prompt": "\#(prompt)"}"#)
        #expect(try await connection.readResponse().status == 413)
      }
    }
  }

  @Test("tells what it serves, whether it is ready, and what was counted")
  func status() async throws {
    let backend = try answering("a")
    let metrics = BatonMetrics()
    try await EdgeFixture.run(backend, metrics: metrics) { port in
      try await EdgeConnection.open(port: port) { connection in
        try await connection.send("GET", "/v1/models")
        #expect(
          try await connection.readResponse().body.contains(#""id":"bytes","object":"model""#))
        try await connection.send("GET", "/health")
        #expect(try await connection.readResponse().status == 200)
        try await connection.send("GET", "/readiness")
        #expect(try await connection.readResponse().status == 200)
        backend.readiness = .notReady(reason: "no decode engine")
        try await connection.send("GET", "/readiness")
        let notReady = try await connection.readResponse()
        #expect(notReady.status == 503)
        #expect(notReady.body == "no decode engine\n")
        try await connection.send("POST", "/v1/completions", body: EdgeFixture.body())
        #expect(try await connection.readResponse().status == 200)
        while metrics.requests.with("ok").value == 0 { await Task.yield() }
        try await connection.send("GET", "/metrics")
        let exposition = try await connection.readResponse()
        #expect(exposition.field("content-type") == MetricExposition.contentType)
        for line in [
          #"baton_requests_total{outcome="ok"} 1"#, #"baton_requests_total{outcome="error"} 0"#,
          "baton_time_to_first_token_seconds_count 1", #"baton_kv_blocks{engine="p"} 7"#,
        ] {
          #expect(exposition.body.contains(line + "\n"), "\(line)")
        }
      }
    }
  }
}
