import BatonRuntime
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import KVCore
import Logging
import NIOCore

extension EdgeResponder {
  /// Answers `POST /v1/completions`, as a stream or whole.
  ///
  /// Throws `CancellationError` when the client is gone before its answer is complete.
  @concurrent
  func complete(
    _ request: Request, arrival: ContinuousClock.Instant, writer: consuming ResponseWriter,
    channel: any Channel
  ) async throws {
    let id = RequestID.random()
    var logger = logger
    logger[metadataKey: "request"] = "\(id)"
    // Before anything of the request is read: what it costs is bounded as well.
    guard admission.enter() else {
      try await refuse(.tooManyRequests(limit: admission.limit), id, to: writer, logger: logger)
      return
    }
    defer { admission.leave() }
    let completion: PreparedCompletion
    do throws(APIError) {
      completion = try await prepare(request, id: id, channel: channel)
    } catch {
      try await refuse(error, id, to: writer, logger: logger)
      return
    }
    // A whole answer is one piece, as long as it is.
    let pipe = AnswerPipe(
      limit: completion.request.streams ? unreadBytes : .max,
      onOverflow: { channel.close(promise: nil) })
    running.insert(pipe, id: id)
    defer { running.remove(id) }

    let connection = try await channel.pipeline.handler(type: ClientConnection.self).get()
    connection.whenGone { pipe.abort() }
    defer { connection.whenGone(nil) }

    let run = CompletionRun(
      completion, createdSeconds: Int64(Date().timeIntervalSince1970), arrival: arrival,
      metrics: metrics, pipe: pipe)
    var remainingWriter: ResponseWriter? = writer
    try await withThrowingDiscardingTaskGroup { [backend, logger] group in
      group.addTask {
        var run = run
        await run.run(on: backend, logger: logger)
      }
      group.addTask { await cutOff(channel, whenStalled: pipe) }
      // What this throws cancels the run.
      if let writer = remainingWriter.take() {
        try await Self.write(pipe, streams: completion.request.streams, id: id, to: writer)
      }
      // The run of an answer that `running` has stopped goes on otherwise.
      group.cancelAll()
    }
  }

  @concurrent
  private func refuse(
    _ error: APIError, _ id: RequestID, to writer: consuming ResponseWriter, logger: Logger
  ) async throws {
    metrics.requests.with(error.outcome.rawValue).add()
    logger.info(
      "completion refused", metadata: ["status": "\(error.status)", "cause": "\(error.message)"])
    try await Self.write(EdgeReply(error), id: id, to: writer)
  }

  /// Closes the connection of a client that has stopped to read: nothing else would end the write
  /// of its answer. Returns when its task is cancelled.
  private func cutOff(_ channel: any Channel, whenStalled pipe: AnswerPipe) async {
    var seen: Int?
    while (try? await Task.sleep(for: stallTime)) != nil {
      let turn = pipe.busyTurn
      if let turn, turn == seen { channel.close(promise: nil) }
      seen = turn
    }
  }

  /// Reads and checks a request.
  private func prepare(
    _ request: Request, id: RequestID, channel: any Channel
  ) async throws(APIError) -> PreparedCompletion {
    let deadline = channel.eventLoop.scheduleTask(in: EdgeLimits.bodyTime) {
      channel.close(promise: nil)
    }
    defer { deadline.cancel() }
    let body: ByteBuffer
    do {
      body = try await request.body.collect(upTo: EdgeLimits.maximumBodyBytes)
    } catch is NIOTooManyBytesError {
      throw APIError(
        status: 413,
        message: "the body has more than \(EdgeLimits.maximumBodyBytes) bytes, which is the limit",
        type: "invalid_request_error", code: "body_too_large")
    } catch {
      throw .invalidRequest("the body could not be read: \(error)")
    }
    let completionRequest = try CompletionRequest(json: body.readableBytesView)
    return try PreparedCompletion(
      completionRequest, id: id, model: backend.model(named: completionRequest.model),
      seed: UInt64.random(in: 0...UInt64.max))
  }

  /// Writes what comes out of `pipe`. Its first piece decides between an answer and an error.
  @concurrent
  private static func write(
    _ pipe: AnswerPipe, streams: Bool, id: RequestID, to writer: consuming ResponseWriter
  ) async throws {
    let first: ByteBuffer
    switch await pipe.next() {
    case .bytes(let bytes): first = bytes
    case .failed(let error):
      try await write(EdgeReply(error), id: id, to: writer)
      return
    case .end, .aborted: throw CancellationError()
    }
    guard streams else {
      try await write(.json(first), id: id, to: writer)
      return
    }
    let head = HTTPResponse(
      status: .ok,
      headerFields: [
        .contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-cache",
        .requestID: id.rawValue,
      ])
    var body = try await writer.writeHead(head)
    try await body.write(first)
    writing: while true {
      switch await pipe.next() {
      case .bytes(let bytes):
        try await body.write(bytes)
      case .failed(let error):
        try await body.write(CompletionEncoder.event(error.json))
        break writing
      case .end:
        break writing
      case .aborted:
        throw CancellationError()
      }
    }
    try await body.finish(nil)
  }

  @concurrent
  private static func write(
    _ reply: EdgeReply, id: RequestID, to writer: consuming ResponseWriter
  ) async throws {
    var reply = reply
    reply.fields[.requestID] = id.rawValue
    try await reply.write(to: writer)
  }
}
