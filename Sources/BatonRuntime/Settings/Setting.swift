package import KVCore

/// What help, the command line and the tests need to know of a setting, whatever its type.
package protocol SettingDescription: Sendable {
  /// Lower-case words joined by `-`: the flag without its dashes and the key in the file.
  var name: String { get }
  /// Stands for the value in help, for example `N`.
  var valueName: String { get }
  /// What may be given, as error messages and help say it.
  var allowed: String { get }
  /// What holds when nothing is given, as help says it.
  var defaultText: String { get }
  var help: String { get }
  /// The commands that have the setting.
  var commands: Set<BatonCommand> { get }
  /// Whether several values may be given, by repeating the flag or with commas between them.
  var isList: Bool { get }

  /// Throws `BatonError` with `invalidArgument`, naming `source`, unless `text` is allowed.
  func check(_ text: String, from source: String) throws(BatonError)
}

extension SettingDescription {
  package var flag: String { "--" + name }

  /// `BATON_` and the name in capitals.
  package var environmentVariable: String {
    "BATON_" + name.uppercased().map { $0 == "-" ? "_" : $0 }
  }
}

/// One row of the table of settings.
package struct Setting<Value: Sendable>: SettingDescription {
  /// What holds when a setting is given nowhere.
  package enum Default: Sendable {
    /// A text that the setting's own parser takes.
    case text(String)
    /// A value that has no text, and what help says instead.
    case value(Value, described: String)
  }

  package let name: String
  package let valueName: String
  package let allowed: String
  package let initial: Default
  package let help: String
  package let commands: Set<BatonCommand>
  package let isList: Bool
  /// Nil for a text that is not allowed.
  private let parser: @Sendable (String) -> Value?

  package init(
    name: String, valueName: String, allowed: String, initial: Default, help: String,
    commands: Set<BatonCommand>, isList: Bool = false,
    parser: @escaping @Sendable (String) -> Value?
  ) {
    self.name = name
    self.valueName = valueName
    self.allowed = allowed
    self.initial = initial
    self.help = help
    self.commands = commands
    self.isList = isList
    self.parser = parser
  }

  package var defaultText: String {
    switch initial {
    case .text(let text): text
    case .value(_, let described): described
    }
  }

  package var defaultValue: Value {
    switch initial {
    case .value(let value, _):
      return value
    case .text(let text):
      guard let value = parser(text) else {
        preconditionFailure("\(flag): its own default \"\(text)\" is not allowed: \(allowed)")
      }
      return value
    }
  }

  /// The value of `text`.
  ///
  /// Throws `BatonError` with `invalidArgument` that names `source` (the flag, the variable or the
  /// file's key), the text and what is allowed.
  package func value(of text: String, from source: String) throws(BatonError) -> Value {
    guard let value = parser(text) else {
      throw BatonError(
        .invalidArgument, "\(source): \"\(text)\" is not allowed; allowed is \(allowed)")
    }
    return value
  }

  package func check(_ text: String, from source: String) throws(BatonError) {
    _ = try value(of: text, from: source)
  }
}
