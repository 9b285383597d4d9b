import ArgumentParser
import BatonRuntime

/// How clients are served.
struct EdgeOptions: SettingOptions {
  @Option(Settings.host) var host: String?
  @Option(Settings.port) var port: String?
  @Option(Settings.controlAddress) var controlAddress: [String] = []
  @Option(Settings.servedModelName) var servedModelName: String?
  @Option(Settings.maxConcurrent) var maxConcurrent: String?
  @Option(Settings.requestTimeout) var requestTimeout: String?

  var given: GivenSettings {
    givenSettings(
      (Settings.host, host.texts), (Settings.port, port.texts),
      (Settings.controlAddress, controlAddress),
      (Settings.servedModelName, servedModelName.texts),
      (Settings.maxConcurrent, maxConcurrent.texts),
      (Settings.requestTimeout, requestTimeout.texts))
  }
}
