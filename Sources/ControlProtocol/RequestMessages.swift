package import KVCore

/// How tokens are chosen. Draws come from a counter-based generator keyed by (seed, position), so
/// that any engine that goes on with the sequence draws the same tokens.
package struct SamplingParameters: Hashable, Sendable {
  /// 0 is greedy.
  package var temperature: Float
  package var seed: UInt64
  /// Tokens to generate from here on, the first one included.
  package var maximumTokens: UInt32
  /// Go on after an end token.
  package var ignoresEndTokens: Bool

  package init(temperature: Float, seed: UInt64, maximumTokens: UInt32, ignoresEndTokens: Bool) {
    self.temperature = temperature
    self.seed = seed
    self.maximumTokens = maximumTokens
    self.ignoresEndTokens = ignoresEndTokens
  }
}

/// Why a sequence ended. The raw values are those of `baton.v1.FinishReason`.
package enum FinishReason: UInt8, Sendable, CaseIterable {
  /// An end token, which is not among the tokens delivered.
  case stop = 1
  /// `maximumTokens`, or the context is full.
  case length = 2
}

/// Proxy to prefill: read these tokens, keep the KV for decode, choose the first token.
/// Answered by `prefillAccepted`, then `prefillDone`.
package struct PrefillRequest: Hashable, Sendable {
  package var request: RequestID
  /// 0 the first time, one more each time the proxy starts the request again.
  package var attempt: UInt32
  package var tokens: [TokenID]
  package var sampling: SamplingParameters

  package init(
    request: RequestID, attempt: UInt32, tokens: [TokenID], sampling: SamplingParameters
  ) {
    self.request = request
    self.attempt = attempt
    self.tokens = tokens
    self.sampling = sampling
  }
}

/// What prefill hands out to allow one migration.
package struct Ticket: Hashable, Sendable {
  package var id: TicketID
  package var engine: EngineID
  package var incarnation: Incarnation
  /// Where decode reaches prefill's control port.
  package var addresses: [String]
  package var tokenCount: UInt32
  /// The blocks in the sequence's order: `geometry.blockCount(tokenCount)` in all.
  package var blocks: [BlockRange]
  package var leaseMilliseconds: UInt32

  package init(
    id: TicketID, engine: EngineID, incarnation: Incarnation, addresses: [String],
    tokenCount: UInt32, blocks: [BlockRange], leaseMilliseconds: UInt32
  ) {
    self.id = id
    self.engine = engine
    self.incarnation = incarnation
    self.addresses = addresses
    self.tokenCount = tokenCount
    self.blocks = blocks
    self.leaseMilliseconds = leaseMilliseconds
  }
}

package struct PrefillDone: Hashable, Sendable {
  /// Nil when the first token chosen was an end token.
  package var firstToken: TokenID?
  /// Set when the first token ends the request; the ticket is then worth nothing.
  package var finish: FinishReason?
  package var queuedMicroseconds: UInt64
  package var computedMicroseconds: UInt64

  package init(
    firstToken: TokenID?, finish: FinishReason?, queuedMicroseconds: UInt64,
    computedMicroseconds: UInt64
  ) {
    self.firstToken = firstToken
    self.finish = finish
    self.queuedMicroseconds = queuedMicroseconds
    self.computedMicroseconds = computedMicroseconds
  }
}

/// Proxy to decode: fetch the ticket's KV and write the answer from its second token on.
/// Answered by a stream of `tokenChunk`, the first of which has `firstIndex` 1.
package struct DecodeRequest: Hashable, Sendable {
  package var request: RequestID
  package var attempt: UInt32
  package var ticket: Ticket
  package var sampling: SamplingParameters

  package init(
    request: RequestID, attempt: UInt32, ticket: Ticket, sampling: SamplingParameters
  ) {
    self.request = request
    self.attempt = attempt
    self.ticket = ticket
    self.sampling = sampling
  }
}

/// Proxy to hybrid: prefill and decode in one engine. Answered by a stream of `tokenChunk`.
package struct GenerateRequest: Hashable, Sendable {
  package var request: RequestID
  package var attempt: UInt32
  package var tokens: [TokenID]
  package var sampling: SamplingParameters

  package init(
    request: RequestID, attempt: UInt32, tokens: [TokenID], sampling: SamplingParameters
  ) {
    self.request = request
    self.attempt = attempt
    self.tokens = tokens
    self.sampling = sampling
  }
}

/// Tokens of one answer, in order; the last chunk of a stream carries `finish`.
package struct TokenChunk: Hashable, Sendable {
  /// The index in the answer of the chunk's first token; prefill's token is index 0.
  package var firstIndex: UInt32
  package var tokens: [TokenID]
  package var finish: FinishReason?
  /// In the first chunk of a sequence that was handed over.
  package var migration: MigrationReport?

  package init(
    firstIndex: UInt32, tokens: [TokenID], finish: FinishReason?, migration: MigrationReport?
  ) {
    self.firstIndex = firstIndex
    self.tokens = tokens
    self.finish = finish
    self.migration = migration
  }
}

/// How the KV cache came from prefill to decode.
package struct MigrationReport: Hashable, Sendable {
  package var transport: String
  /// `borrow` or `copy`.
  package var mode: String
  package var blocks: UInt32
  /// Bytes moved before the first step; borrowed blocks are not moved.
  package var bytes: UInt64
  /// From prefill's last progress in hand to usable KV.
  package var microseconds: UInt64

  package init(
    transport: String, mode: String, blocks: UInt32, bytes: UInt64, microseconds: UInt64
  ) {
    self.transport = transport
    self.mode = mode
    self.blocks = blocks
    self.bytes = bytes
    self.microseconds = microseconds
  }
}
