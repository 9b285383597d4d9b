import ArgumentParser
import BatonRuntime

/// What engines that take over sequences need.
struct DecodeOptions: SettingOptions {
  @Option(Settings.handoff) var handoff: String?
  @Option(Settings.verify) var verify: String?
  @Option(Settings.lanes) var lanes: String?

  var given: GivenSettings {
    givenSettings(
      (Settings.handoff, handoff.texts), (Settings.verify, verify.texts),
      (Settings.lanes, lanes.texts))
  }
}
