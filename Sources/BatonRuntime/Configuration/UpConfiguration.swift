import Foundation
package import KVCore
package import Logging

/// What `baton up` needs to know: which processes to start and what to tell them.
package struct UpConfiguration: Hashable, Sendable {
  package var control: ControlConfiguration
  package var prefill: Int
  package var decode: Int
  package var hybrid: Int
  package var modelDirectory: String?
  package var host: String
  package var port: Int
  /// On which the proxy serves clients of the protocol.
  package var controlAddresses: [String]
  package var servedModelName: String?
  package var maxConcurrent: Int
  package var requestTimeoutSeconds: Int
  package var handoff: HandoffMode
  package var verify: VerifyMode
  package var migration: MigrationConfiguration
  package var kvDataType: KVDataType
  package var kvBlocks: Int
  package var blockTokens: Int
  package var prefillChunk: Int
  package var recallBelow: Int
  /// Of each engine; at least one.
  package var threads: Int
  package var logLevel: Logger.Level

  /// Throws `BatonError` with `invalidArgument` for a setting that is given a wrong value, and
  /// when the counts make up neither a pair nor a hybrid engine.
  package init(settings: SettingsResolver, cores: Int) throws(BatonError) {
    control = try ControlConfiguration(settings: settings)
    prefill = try settings.value(of: Settings.prefill)
    decode = try settings.value(of: Settings.decode)
    hybrid = try settings.value(of: Settings.hybrid)
    modelDirectory = try settings.value(of: Settings.model)
    host = try settings.value(of: Settings.host)
    port = try settings.value(of: Settings.port)
    controlAddresses = try ControlConfiguration.proxyAddresses(settings: settings, port: port)
    servedModelName = try settings.value(of: Settings.servedModelName)
    maxConcurrent = try settings.value(of: Settings.maxConcurrent)
    requestTimeoutSeconds = try settings.value(of: Settings.requestTimeout)
    handoff = try settings.value(of: Settings.handoff)
    verify = try settings.value(of: Settings.verify)
    migration = try MigrationConfiguration(settings: settings)
    kvDataType = try settings.value(of: Settings.kvDataType)
    kvBlocks = try settings.value(of: Settings.kvBlocks)
    blockTokens = try settings.value(of: Settings.blockTokens)
    prefillChunk = try settings.value(of: Settings.prefillChunk)
    recallBelow = try settings.value(of: Settings.recallBelow)
    logLevel = try settings.value(of: Settings.logLevel)
    guard hybrid > 0 || (prefill > 0 && decode > 0) else {
      throw BatonError(
        .invalidArgument,
        "nothing can answer with \(Settings.prefill.flag) \(prefill), \(Settings.decode.flag) "
          + "\(decode) and \(Settings.hybrid.flag) \(hybrid); needed is at least one prefill and "
          + "one decode engine, or one hybrid")
    }
    let givenThreads = try settings.value(of: Settings.threads)
    threads =
      givenThreads > 0
      ? givenThreads
      : min(max(1, cores / (prefill + decode + hybrid)), Limits.maximumThreadsPerEngine)
  }
}
