import ArgumentParser
import BatonRuntime

/// Where a client finds the proxy.
struct ProxyAddressOptions: SettingOptions {
  @Option(Settings.port) var port: String?
  @Option(Settings.controlAddress) var controlAddress: [String] = []

  var given: GivenSettings {
    givenSettings((Settings.port, port.texts), (Settings.controlAddress, controlAddress))
  }
}
