import ArgumentParser
import BatonRuntime

/// How many engines `baton up` starts.
struct FleetOptions: SettingOptions {
  @Option(Settings.prefill) var prefill: String?
  @Option(Settings.decode) var decode: String?
  @Option(Settings.hybrid) var hybrid: String?

  var given: GivenSettings {
    givenSettings(
      (Settings.prefill, prefill.texts), (Settings.decode, decode.texts),
      (Settings.hybrid, hybrid.texts))
  }
}
