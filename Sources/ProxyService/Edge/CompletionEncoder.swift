package import ControlProtocol
package import KVCore
package import NIOCore

/// Writes one completion's answer as OpenAI's clients read it, whole or as server-sent events
/// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
package struct CompletionEncoder: Sendable {
  /// A part of an answer, or all of it.
  package struct Piece: Hashable, Sendable {
    package var text: String
    /// Nil where the client did not ask for them.
    package var tokens: [TokenID]?

    package init(text: String, tokens: [TokenID]? = nil) {
      self.text = text
      self.tokens = tokens
    }
  }

  /// How an answer ended, for its last object.
  package struct Ending: Sendable {
    package var reason: FinishReason
    package var usage: Usage
    /// Nil where the answer was cut before any report came.
    package var report: GenerationReport?
    package var firstTokenMicroseconds: UInt64?
    package var totalMicroseconds: UInt64

    package init(
      reason: FinishReason, usage: Usage, report: GenerationReport?,
      firstTokenMicroseconds: UInt64?, totalMicroseconds: UInt64
    ) {
      self.reason = reason
      self.usage = usage
      self.report = report
      self.firstTokenMicroseconds = firstTokenMicroseconds
      self.totalMicroseconds = totalMicroseconds
    }
  }

  package struct Usage: Hashable, Sendable {
    package var promptTokens: Int
    package var completionTokens: Int

    package init(promptTokens: Int, completionTokens: Int) {
      self.promptTokens = promptTokens
      self.completionTokens = completionTokens
    }
  }

  /// The event that ends a stream.
  package static let done = ByteBuffer(string: "data: [DONE]\n\n")

  /// The beginning of every object of the answer, written once.
  private let head: JSONWriter
  private let includesUsage: Bool

  package init(
    id: RequestID, createdSeconds: Int64, model: String, fingerprint: String, includesUsage: Bool
  ) {
    var head = JSONWriter()
    head.openObject()
    head.name("id")
    head.value(id.rawValue)
    head.name("object")
    head.value("text_completion")
    head.name("created")
    head.value(createdSeconds)
    head.name("model")
    head.value(model)
    head.name("system_fingerprint")
    head.value(fingerprint)
    self.head = head
    self.includesUsage = includesUsage
  }

  /// The event of a piece of the answer in a stream.
  package func chunk(_ piece: Piece) -> ByteBuffer {
    event(piece, reason: nil, report: nil)
  }

  /// The events that end a stream: the last piece of text with the finish reason and the report,
  /// the usage where the client asked for it, and `[DONE]`.
  package func lastChunks(_ piece: Piece, ending: Ending) -> ByteBuffer {
    var events = event(piece, reason: ending.reason, report: ending)
    if includesUsage {
      var writer = head
      writer.name("choices")
      writer.array(EmptyCollection<Never>()) { _, _ in }
      Self.write(ending.usage, to: &writer)
      writer.closeObject()
      events.writeImmutableBuffer(Self.event(writer.buffer))
    }
    events.writeImmutableBuffer(Self.done)
    return events
  }

  /// The whole answer as one object.
  package func response(_ piece: Piece, ending: Ending) -> ByteBuffer {
    var writer = head
    Self.writeChoice(piece, reason: ending.reason, to: &writer)
    Self.write(ending.usage, to: &writer)
    Self.write(report: ending, to: &writer)
    writer.closeObject()
    return writer.buffer
  }

  /// `json`, which has no line feeds, as one event.
  package static func event(_ json: ByteBuffer) -> ByteBuffer {
    var event = ByteBuffer(string: "data: ")
    event.writeImmutableBuffer(json)
    event.writeString("\n\n")
    return event
  }

  private func event(_ piece: Piece, reason: FinishReason?, report: Ending?) -> ByteBuffer {
    var writer = head
    Self.writeChoice(piece, reason: reason, to: &writer)
    if includesUsage {
      writer.name("usage")
      writer.null()
    }
    if let report { Self.write(report: report, to: &writer) }
    writer.closeObject()
    return Self.event(writer.buffer)
  }

  private static func writeChoice(
    _ piece: Piece, reason: FinishReason?, to writer: inout JSONWriter
  ) {
    writer.name("choices")
    writer.array(CollectionOfOne(piece)) { writer, piece in
      writer.object { writer in
        writer.name("index")
        writer.value(0)
        writer.name("text")
        writer.value(piece.text)
        if let tokens = piece.tokens {
          writer.name("token_ids")
          writer.array(tokens) { $0.value($1) }
        }
        writer.name("logprobs")
        writer.null()
        writer.name("finish_reason")
        writer.value(reason?.openAIName)
      }
    }
  }

  private static func write(_ usage: Usage, to writer: inout JSONWriter) {
    writer.name("usage")
    writer.object { writer in
      writer.name("prompt_tokens")
      writer.value(usage.promptTokens)
      writer.name("completion_tokens")
      writer.value(usage.completionTokens)
      writer.name("total_tokens")
      writer.value(usage.promptTokens + usage.completionTokens)
    }
  }

  /// Baton's own member: who did what, what moved, how long it took.
  private static func write(report ending: Ending, to writer: inout JSONWriter) {
    writer.name("baton")
    writer.object { writer in
      if let report = ending.report {
        writer.name("prefill")
        writer.value(report.prefillEngine)
        writer.name("decode")
        writer.value(report.decodeEngine)
        writer.name("migration")
        if let migration = report.migration {
          write(migration, to: &writer)
        } else {
          writer.null()
        }
        writer.name("attempts")
        writer.value(report.attempts)
        writer.name("queued_microseconds")
        Self.write(report.queuedMicroseconds, to: &writer)
        writer.name("prefill_microseconds")
        Self.write(report.prefillMicroseconds, to: &writer)
      }
      if let microseconds = ending.firstTokenMicroseconds {
        writer.name("first_token_microseconds")
        writer.value(microseconds)
      }
      writer.name("total_microseconds")
      writer.value(ending.totalMicroseconds)
    }
  }

  private static func write(_ number: UInt64?, to writer: inout JSONWriter) {
    if let number { writer.value(number) } else { writer.null() }
  }

  private static func write(_ migration: MigrationReport, to writer: inout JSONWriter) {
    writer.object { writer in
      writer.name("transport")
      writer.value(migration.transport)
      writer.name("mode")
      writer.value(migration.mode)
      writer.name("blocks")
      writer.value(migration.blocks)
      writer.name("bytes")
      writer.value(migration.bytes)
      writer.name("microseconds")
      writer.value(migration.microseconds)
    }
  }
}

extension FinishReason {
  /// The spelling in OpenAI's API.
  var openAIName: String {
    switch self {
    case .stop: "stop"
    case .length: "length"
    }
  }
}
