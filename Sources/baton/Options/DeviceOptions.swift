import ArgumentParser
import BatonRuntime

/// What engines need to know of RDMA devices.
struct DeviceOptions: SettingOptions {
  @Option(Settings.gidIndex) var gidIndex: String?
  @Option(Settings.trafficClass) var trafficClass: String?
  @Option(Settings.serviceLevel) var serviceLevel: String?

  var given: GivenSettings {
    givenSettings(
      (Settings.gidIndex, gidIndex.texts), (Settings.trafficClass, trafficClass.texts),
      (Settings.serviceLevel, serviceLevel.texts))
  }
}
