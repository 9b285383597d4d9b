import ArgumentParser
import BatonRuntime

/// What engines that have links need to know of how KV blocks move.
struct TransportOptions: SettingOptions {
  @Option(Settings.transport) var transport: [String] = []

  var given: GivenSettings { givenSettings((Settings.transport, transport)) }
}
