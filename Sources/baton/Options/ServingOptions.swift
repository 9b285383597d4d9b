import ArgumentParser
import BatonRuntime

/// What engines whose blocks are read over the network need.
struct ServingOptions: SettingOptions {
  @Option(Settings.dataPort) var dataPort: String?

  var given: GivenSettings { givenSettings((Settings.dataPort, dataPort.texts)) }
}
