import ArgumentParser
import BatonRuntime

/// What every client of the protocol needs.
struct ClientOptions: SettingOptions {
  @Option(Settings.clusterKeyFile) var clusterKeyFile: String?
  @Option(Settings.config) var config: String?

  var given: GivenSettings {
    givenSettings(
      (Settings.clusterKeyFile, clusterKeyFile.texts), (Settings.config, config.texts))
  }
}
