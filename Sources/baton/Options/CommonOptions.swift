import ArgumentParser
import BatonRuntime

struct CommonOptions: SettingOptions {
  @Option(Settings.clusterKeyFile) var clusterKeyFile: String?
  @Option(Settings.logLevel) var logLevel: String?
  @Option(Settings.config) var config: String?

  var given: GivenSettings {
    givenSettings(
      (Settings.clusterKeyFile, clusterKeyFile.texts), (Settings.logLevel, logLevel.texts),
      (Settings.config, config.texts))
  }
}
