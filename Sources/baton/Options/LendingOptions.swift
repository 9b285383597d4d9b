import ArgumentParser
import BatonRuntime

/// What engines that lend their blocks need.
struct LendingOptions: SettingOptions {
  @Option(Settings.recallBelow) var recallBelow: String?

  var given: GivenSettings { givenSettings((Settings.recallBelow, recallBelow.texts)) }
}
