import ArgumentParser
import BatonRuntime

/// What every engine needs, alone or under `baton up`.
struct ModelOptions: SettingOptions {
  @Option(Settings.model) var model: String?
  @Option(Settings.kvDataType) var kvDataType: String?
  @Option(Settings.kvBlocks) var kvBlocks: String?
  @Option(Settings.blockTokens) var blockTokens: String?
  @Option(Settings.threads) var threads: String?

  var given: GivenSettings {
    givenSettings(
      (Settings.model, model.texts), (Settings.kvDataType, kvDataType.texts),
      (Settings.kvBlocks, kvBlocks.texts), (Settings.blockTokens, blockTokens.texts),
      (Settings.threads, threads.texts))
  }
}
