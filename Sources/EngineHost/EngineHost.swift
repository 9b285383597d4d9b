package import BatonRuntime
package import ControlProtocol
package import ControlTransport
import Crypto
import Foundation
package import Inference
package import KVCore
package import KVPool
package import Logging
package import Migration
import Platform
import Tokenizer

/// What every engine process has, whatever its role: the model, the pool, the migration backend,
/// its identity in the fleet and its figures.
package final class EngineHost: Sendable {
  package let configuration: EngineConfiguration
  package let id: EngineID
  package let incarnation: Incarnation
  package let engine: any Engine
  package let pool: KVPool
  package let reserver: BlockReserver
  package let migration: MigrationBackend
  package let metrics: BatonMetrics
  package let logger: Logger
  let addresses: [ControlAddress]
  private let controlOptions: ControlOptions

  /// Loads the model and makes the pool.
  ///
  /// Throws `BatonError` for an address that may not be served, a model that the engine cannot run
  /// (naming file, field and value), and a pool that does not fit the machine's memory.
  package init(configuration: EngineConfiguration, logger: Logger) throws(BatonError) {
    self.configuration = configuration
    self.id = configuration.name
    self.incarnation = .random()
    self.logger = logger
    // What is wrong in the settings is said before anything takes time.
    let options = try configuration.control.options()
    self.controlOptions = options
    self.addresses = try configuration.listen.map { text throws(BatonError) in
      let address = try ControlAddress(text)
      try address.requireLocal(unless: options.keys)
      return address
    }
    let directory: String
    if let named = configuration.modelDirectory {
      directory = named
    } else {
      directory = try EmbeddedModel.directory()
    }
    let start = ContinuousClock.now
    let engine = try CPUEngine(
      directory: directory, kvDataType: configuration.kvDataType,
      blockTokens: configuration.blockTokens, threads: configuration.threads)
    self.engine = engine
    try Self.check(engine.model, in: directory)
    logger.info(
      "model loaded",
      metadata: [
        "model": "\(engine.model.name)", "geometry": "\(engine.geometry)",
        "threads": "\(configuration.threads)",
        "milliseconds": "\((ContinuousClock.now - start).wholeMilliseconds)",
      ])
    let bytes = try Self.poolBytes(configuration, engine.geometry)
    self.pool = try KVPool(
      geometry: engine.geometry, blockCount: configuration.kvBlocks)
    let poolTokens = configuration.kvBlocks * configuration.blockTokens
    if poolTokens < engine.model.contextTokens {
      logger.warning(
        "the pool is smaller than the model's context: requests that need more are refused",
        metadata: [
          "pool_tokens": "\(poolTokens)", "context_tokens": "\(engine.model.contextTokens)",
          "setting": "--kv-blocks",
        ])
    }
    self.reserver = BlockReserver(pool: pool)
    self.migration = try MigrationBackend(
      engine: id, incarnation: incarnation,
      options: Self.migrationOptions(
        configuration, addresses: addresses, keys: options.keys, logger: logger))
    self.metrics = BatonMetrics()
    prepareTransports()
    logger.info(
      "pool ready",
      metadata: [
        "blocks": "\(configuration.kvBlocks)", "bytes": "\(bytes)", "pages": "\(pool.pages)",
      ])
    if let advice = pool.pages.advice(on: .current()) {
      logger.notice(
        "the pool is not all on huge pages, which copies and restarts are faster on",
        metadata: ["set": "\(advice)"])
    }
  }

  /// What the pool takes. Throws `invalidArgument` where the machine has not as much.
  private static func poolBytes(
    _ configuration: EngineConfiguration, _ geometry: KVGeometry
  ) throws(BatonError) -> ByteCount {
    let bytes = geometry.blockBytes * configuration.kvBlocks
    // Reserved huge pages, which the pool takes first, are no part of what is available otherwise.
    let available = max(
      SystemMemory.availableBytes(), SystemMemory.hugePageBytes * SystemMemory.freeHugePages())
    guard bytes < available else {
      throw BatonError(
        .invalidArgument,
        "--kv-blocks: \(configuration.kvBlocks) blocks take \(bytes), and \(available) of memory "
          + "are available; at most \(available.rawValue / geometry.blockBytes.rawValue) fit")
    }
    return bytes
  }

  /// The tokenizer is the proxy's to use, and the engine's to vouch for.
  private static func check(
    _ model: ModelDescription, in directory: String
  ) throws(BatonError) {
    do {
      let tokenizer = try Tokenizer(json: model.assets["tokenizer.json"] ?? [])
      guard tokenizer.vocabularySize <= model.vocabularySize else {
        throw BatonError(
          .invalidArgument,
          "\(directory)/tokenizer.json: has token \(tokenizer.vocabularySize - 1); config.json: "
            + "vocab_size is \(model.vocabularySize)")
      }
    } catch let error as TokenizerError {
      throw BatonError(.invalidArgument, "\(directory)/\(error)")
    } catch {
      throw BatonError(wrapping: error)
    }
  }

  package var summary: ModelSummary {
    ModelSummary(
      name: engine.model.name, fingerprint: engine.model.fingerprint, geometry: engine.geometry,
      contextTokens: UInt32(engine.model.contextTokens),
      vocabularySize: UInt32(engine.model.vocabularySize), endTokens: engine.model.endTokens,
      poolBlocks: UInt32(pool.blockCount))
  }

  /// How this engine presents itself to whoever connects.
  package func identity(addresses: [String]) -> LocalIdentity {
    LocalIdentity(
      engine: id, incarnation: incarnation, role: configuration.role,
      info: PeerInfo(
        model: summary, bootID: Node.bootID(),
        processID: UInt32(ProcessInfo.processInfo.processIdentifier),
        addresses: addresses, ranks: 1),
      options: controlOptions)
  }

  /// The place in the process of a sequence's blocks, in its order.
  package func addresses(of ranges: [BlockRange]) -> [KVBlockAddress] {
    ranges.flatMap { range in range.blocks.map { KVBlockAddress(pool.address(of: $0)) } }
  }

  /// What is wrong with a request's tokens, or nil.
  package func refusal(tokens: [TokenID], sampling: SamplingParameters) -> BatonError? {
    let model = engine.model
    guard !tokens.isEmpty else {
      return BatonError(.invalidArgument, "the prompt is empty; at least one token is needed")
    }
    if let wrong = tokens.first(where: { $0 < 0 || Int($0) >= model.vocabularySize }) {
      return BatonError(
        .invalidArgument,
        "token \(wrong) is outside the vocabulary; 0 to \(model.vocabularySize - 1) are allowed")
    }
    return refusal(tokenCount: tokens.count, sampling: sampling)
  }

  /// What is wrong with a request whose prompt has `tokenCount` tokens, or nil.
  package func refusal(tokenCount: Int, sampling: SamplingParameters) -> BatonError? {
    guard sampling.maximumTokens > 0 else {
      return BatonError(.invalidArgument, "at least one token must be asked for")
    }
    let contextTokens = engine.model.contextTokens
    guard tokenCount + Int(sampling.maximumTokens) <= contextTokens else {
      return BatonError(
        .invalidArgument,
        "\(tokenCount) prompt tokens and \(sampling.maximumTokens) to generate exceed the "
          + "context of \(contextTokens)")
    }
    guard sampling.temperature >= 0, sampling.temperature.isFinite else {
      return BatonError(
        .invalidArgument, "temperature \(sampling.temperature): 0 and more are allowed")
    }
    return nil
  }
}

extension EngineHost {
  /// Answers what every engine answers; false for a message that is the role's own.
  package func answerCommon(_ message: Message, reply: ReplyWriter) async -> Bool {
    switch message {
    case .modelAssetsRequest:
      await sendModelAssets(reply)
      return true
    case .metricsRequest:
      reply.send(.metricsReply(metricFamilies()), last: true)
      return true
    default:
      return false
    }
  }

  /// Not on the event loop, where requests come in: the files are hashed.
  @concurrent
  private func sendModelAssets(_ reply: ReplyWriter) async {
    let pieceBytes = Limits.maximumFramePayloadBytes / 2
    let files = engine.model.assets.sorted { $0.key < $1.key }.filter { !$0.value.isEmpty }
    guard let lastName = files.last?.key else {
      reply.fail(BatonError(.internalError, "the model has no tokenizer.json"))
      return
    }
    for (name, bytes) in files {
      let hash = Array(SHA256.hash(data: bytes))
      for offset in stride(from: 0, to: bytes.count, by: pieceBytes) {
        let end = min(offset + pieceBytes, bytes.count)
        let chunk = ModelAssetChunk(
          name: name, sha256: hash, totalBytes: UInt64(bytes.count), offset: UInt64(offset),
          data: Array(bytes[offset..<end]))
        await reply.sendWaiting(
          .modelAssetChunk(chunk), last: name == lastName && end == bytes.count)
      }
    }
  }

  private func metricFamilies() -> [MetricFamily] {
    let statistics = pool.statistics
    metrics.kvBlocks.with(id.name, "free").set(Double(statistics.free))
    metrics.kvBlocks.with(id.name, "used").set(Double(statistics.used))
    return metrics.collect()
  }
}
