import ArgumentParser
import BatonRuntime

/// What an engine that is started alone needs besides its model.
struct EngineOptions: SettingOptions {
  @Option(Settings.name) var name: String?
  @Option(Settings.listen) var listen: [String] = []
  @Option(Settings.advertise) var advertise: [String] = []

  var given: GivenSettings {
    givenSettings(
      (Settings.name, name.texts), (Settings.listen, listen), (Settings.advertise, advertise))
  }
}
