import Foundation
package import KVCore

/// What one prefill, decode or hybrid process needs to know.
package struct EngineConfiguration: Hashable, Sendable {
  package var name: EngineID
  package var control: ControlConfiguration
  package var role: Role
  /// Nil for the embedded model.
  package var modelDirectory: String?
  /// Control addresses to listen on, in the syntax of `AddressSyntax`; at least one.
  package var listen: [String]
  /// What other engines are told; at least one.
  package var advertise: [String]
  package var handoff: HandoffMode
  package var verify: VerifyMode
  package var migration: MigrationConfiguration
  package var kvDataType: KVDataType
  /// Blocks of the engine's pool.
  package var kvBlocks: Int
  package var blockTokens: Int
  /// Tokens of a prompt that one pass computes.
  package var prefillChunk: Int
  /// With less than this part of a prefill engine's pool free, in percent, lent blocks are wanted
  /// back.
  package var recallBelow: Int
  /// Threads that compute; at least one.
  package var threads: Int

  /// Throws `BatonError` with `invalidArgument` for a setting that is given a wrong value.
  package init(role: Role, settings: SettingsResolver) throws(BatonError) {
    self.role = role
    control = try ControlConfiguration(settings: settings)
    name = try settings.value(of: Settings.name) ?? .ofThisProcess(role: role)
    modelDirectory = try settings.value(of: Settings.model)
    listen = try settings.value(of: Settings.listen)
    let advertised = try settings.value(of: Settings.advertise)
    // Without a key such an address is refused for another reason.
    if advertised.isEmpty, control.keyFile != nil,
      let wildcard = listen.first(where: AddressSyntax.isWildcard)
    {
      throw BatonError(
        .invalidArgument,
        "\(Settings.listen.flag) \(wildcard): nobody can connect to that address; tell other "
          + "engines which to use with \(Settings.advertise.flag)")
    }
    advertise = advertised.isEmpty ? listen : advertised
    handoff = try settings.value(of: Settings.handoff)
    verify = try settings.value(of: Settings.verify)
    migration = try MigrationConfiguration(settings: settings)
    kvDataType = try settings.value(of: Settings.kvDataType)
    kvBlocks = try settings.value(of: Settings.kvBlocks)
    blockTokens = try settings.value(of: Settings.blockTokens)
    prefillChunk = try settings.value(of: Settings.prefillChunk)
    recallBelow = try settings.value(of: Settings.recallBelow)
    let givenThreads = try settings.value(of: Settings.threads)
    threads =
      givenThreads > 0
      ? givenThreads
      : min(ProcessInfo.processInfo.activeProcessorCount, Limits.maximumThreadsPerEngine)
  }
}
