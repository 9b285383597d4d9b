import Configuration
package import KVCore

/// Finds what holds for each setting: flag, then environment, then file, then default.
package struct SettingsResolver: Sendable {
  /// One place where a setting may be given.
  private struct Layer: Sendable {
    let reader: ConfigReader
    /// How an error message names a setting of this place.
    let source: @Sendable (any SettingDescription) -> String
  }

  private var layers: [Layer]

  /// - Parameters:
  ///   - flags: the texts given on the command line, by the setting's name.
  ///   - environment: the process's variables; an empty one counts as not given.
  ///
  /// Throws `BatonError` with `invalidArgument` for a variable that begins like ours and is none,
  /// and when the file that `--config` names is wrong.
  package init(
    flags: [String: [String]], environment: [String: String]
  ) throws(BatonError) {
    let environment = environment.filter { !$0.value.isEmpty }
    try Self.check(environment)
    let flagProvider = InMemoryProvider(
      name: "flags",
      values: Dictionary(
        uniqueKeysWithValues: flags.map { name, texts in
          let text = texts.joined(separator: ",")
          return (AbsoluteConfigKey([name]), ConfigValue(.string(text), isSecret: false))
        }))
    let environmentProvider = EnvironmentVariablesProvider(
      environmentVariables: environment
    ).prefixKeys(with: "baton")
    let given = [
      Layer(reader: ConfigReader(provider: flagProvider)) { $0.flag },
      Layer(reader: ConfigReader(provider: environmentProvider)) { $0.environmentVariable },
    ]
    layers = given
    guard let path = try value(of: Settings.config) else { return }
    let file = try SettingsFile(path: path)
    layers =
      given + [
        Layer(reader: ConfigReader(provider: file.provider)) { "\"\($0.name)\" in \(path)" }
      ]
  }

  /// A misspelt variable would be given in vain.
  private static func check(_ environment: [String: String]) throws(BatonError) {
    let settings = Settings.all.map(\.environmentVariable)
    let known = Set(settings + [Supervision.environmentVariable])
    for name in environment.keys.sorted() where name.hasPrefix("BATON_") && !known.contains(name) {
      throw BatonError(
        .invalidArgument,
        "environment: there is no setting \"\(name)\"; "
          + EditDistance.hint(for: name, among: settings))
    }
  }

  /// The value that holds for `setting`.
  ///
  /// Throws `BatonError` with `invalidArgument` that names the flag, variable or key, the text
  /// that was given there, and what is allowed.
  package func value<Value>(of setting: Setting<Value>) throws(BatonError) -> Value {
    for layer in layers {
      if let text = layer.reader.string(forKey: ConfigKey([setting.name])) {
        return try setting.value(of: text, from: layer.source(setting))
      }
    }
    return setting.defaultValue
  }
}
