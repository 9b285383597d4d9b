import ArgumentParser
import BatonRuntime

/// What every service needs.
struct CommonOptions: SettingOptions {
  @Option(Settings.clusterKeyFile) var clusterKeyFile: String?
  @Option(Settings.compression) var compression: String?
  @Option(Settings.peerTimeout) var peerTimeout: String?
  @Option(Settings.logLevel) var logLevel: String?
  @Option(Settings.config) var config: String?

  var given: GivenSettings {
    givenSettings(
      (Settings.clusterKeyFile, clusterKeyFile.texts),
      (Settings.compression, compression.texts), (Settings.peerTimeout, peerTimeout.texts),
      (Settings.logLevel, logLevel.texts),
      (Settings.config, config.texts))
  }
}
