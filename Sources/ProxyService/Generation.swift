package import ControlProtocol
package import KVCore
package import Tokenizer

/// One completion as the edge asks for it, in tokens.
package struct GenerationRequest: Hashable, Sendable {
  package var id: RequestID
  /// `ServedModel.fingerprint` of the model whose tokens these are.
  package var modelFingerprint: String
  package var promptTokens: [TokenID]
  /// The seed is always assigned.
  package var sampling: SamplingParameters

  package init(
    id: RequestID, modelFingerprint: String, promptTokens: [TokenID], sampling: SamplingParameters
  ) {
    self.id = id
    self.modelFingerprint = modelFingerprint
    self.promptTokens = promptTokens
    self.sampling = sampling
  }
}

/// Which engines serve a completion, and how its KV went from one to the other.
package struct GenerationReport: Hashable, Sendable {
  package var prefillEngine: String
  /// Equal to `prefillEngine` where one engine did both.
  package var decodeEngine: String
  /// Nil where nothing was handed over.
  package var migration: MigrationReport?
  /// In prefill's queue; nil where prefill has not told.
  package var queuedMicroseconds: UInt64?
  /// Prefill's computing.
  package var prefillMicroseconds: UInt64?
  /// 1, and one more each time the request was started again on other engines.
  package var attempts: UInt32

  package init(
    prefillEngine: String, decodeEngine: String, migration: MigrationReport? = nil,
    queuedMicroseconds: UInt64? = nil, prefillMicroseconds: UInt64? = nil, attempts: UInt32 = 1
  ) {
    self.prefillEngine = prefillEngine
    self.decodeEngine = decodeEngine
    self.migration = migration
    self.queuedMicroseconds = queuedMicroseconds
    self.prefillMicroseconds = prefillMicroseconds
    self.attempts = attempts
  }
}

/// What happens in a completion, in order.
package enum GenerationEvent: Hashable, Sendable {
  /// What is known so far; sent when it changes, so that an answer that is cut by a stop string
  /// can still be reported.
  case progress(GenerationReport)
  /// The next tokens of the answer, at least one.
  case tokens([TokenID])
  /// The last event.
  case finished(FinishReason, GenerationReport)
}

/// Whether completions can be served now.
package enum Readiness: Hashable, Sendable {
  case ready
  /// `reason` is a sentence for people.
  case notReady(reason: String)
}

/// A model that clients may ask for.
package struct ServedModel: Sendable {
  package var name: String
  /// Prompt and answer together.
  package var contextTokens: Int
  package var tokenizer: Tokenizer
  /// Seconds since 1970 at which the proxy first had it.
  package var createdSeconds: Int64
  /// Tells clients that two answers came from equal models: `fp_` and hexadecimal digits.
  package var fingerprint: String

  package init(
    name: String, contextTokens: Int, tokenizer: Tokenizer, createdSeconds: Int64,
    fingerprint: String
  ) {
    self.name = name
    self.contextTokens = contextTokens
    self.tokenizer = tokenizer
    self.createdSeconds = createdSeconds
    self.fingerprint = fingerprint
  }
}

extension ServedModel {
  /// What clients see of a model's fingerprint.
  static func fingerprint(of summary: ModelSummary) -> String {
    "fp_" + Hexadecimal.string(summary.fingerprint.prefix(6))
  }
}

/// What the HTTP edge stands on: the fleet, seen as one thing that completes prompts.
package protocol GenerationBackend: Sendable {
  var readiness: Readiness { get }

  func models() -> [ServedModel]

  /// Starts a completion.
  ///
  /// The stream fails with `BatonError`. Dropping it, or cancelling the task that reads it, cancels
  /// the request on every engine at once.
  func generate(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error>

  /// What the engines count now, one list for all of them.
  func metricFamilies() async -> [MetricFamily]
}
