import ArgumentParser
import BatonRuntime

extension Option where Value == String? {
  /// The flag of a row of the table of settings.
  init(_ setting: some SettingDescription) {
    self.init(name: .customLong(setting.name), help: setting.argumentHelp)
  }
}

extension Option where Value == [String] {
  /// The flag of a setting that may be given several times.
  init(wrappedValue: [String], _ setting: some SettingDescription) {
    self.init(
      wrappedValue: wrappedValue, name: .customLong(setting.name), parsing: .singleValue,
      help: setting.argumentHelp)
  }
}

extension SettingDescription {
  fileprivate var argumentHelp: ArgumentHelp {
    ArgumentHelp(
      "\(help) Allowed: \(allowed). Default: \(defaultText). Environment: \(environmentVariable).",
      valueName: valueName)
  }
}
