import ArgumentParser
import BatonRuntime

/// What engines need to know of RDMA devices.
struct DeviceOptions: SettingOptions {
  @Option(Settings.gidIndex) var gidIndex: String?

  var given: GivenSettings { givenSettings((Settings.gidIndex, gidIndex.texts)) }
}
