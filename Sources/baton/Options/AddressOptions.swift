import ArgumentParser
import BatonRuntime

/// Where a proxy finds its engines.
struct AddressOptions: SettingOptions {
  @Option(Settings.name) var name: String?
  @Option(Settings.prefillAddress) var prefillAddress: [String] = []
  @Option(Settings.decodeAddress) var decodeAddress: [String] = []
  @Option(Settings.hybridAddress) var hybridAddress: [String] = []

  var given: GivenSettings {
    givenSettings(
      (Settings.name, name.texts), (Settings.prefillAddress, prefillAddress),
      (Settings.decodeAddress, decodeAddress), (Settings.hybridAddress, hybridAddress))
  }
}
