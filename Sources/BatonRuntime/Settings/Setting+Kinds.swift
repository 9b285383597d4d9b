import KVCore

extension Setting where Value == Int {
  /// A whole number within `range`.
  static func integer(
    _ name: String, in range: ClosedRange<Int>, default initial: Int, help: String,
    commands: Set<BatonCommand>
  ) -> Setting {
    Setting(
      name: name, valueName: "N",
      allowed: "a whole number from \(range.lowerBound) to \(range.upperBound)",
      initial: .text("\(initial)"), help: help, commands: commands
    ) { text in
      Int(text).flatMap { range.contains($0) ? $0 : nil }
    }
  }
}

extension Setting where Value: CaseIterable & CustomStringConvertible {
  /// One of the cases of an enumeration, by its description.
  static func choice(
    _ name: String, default initial: Value, help: String, commands: Set<BatonCommand>
  ) -> Setting {
    let texts = Value.allCases.map(\.description)
    return Setting(
      name: name, valueName: texts.joined(separator: "|"),
      allowed: texts.joined(separator: " or "),
      initial: .text(initial.description), help: help, commands: commands
    ) { text in
      Value.allCases.first { $0.description == text }
    }
  }
}

extension Setting where Value == String {
  /// Any text that is not empty.
  static func text(
    _ name: String, valueName: String, default initial: String, help: String,
    commands: Set<BatonCommand>
  ) -> Setting {
    Setting(
      name: name, valueName: valueName, allowed: "any text that is not empty",
      initial: .text(initial), help: help, commands: commands
    ) { $0.isEmpty ? nil : $0 }
  }
}

extension Setting where Value == String? {
  /// Any text that is not empty; nil, described by `described`, when it is not given.
  static func optionalText(
    _ name: String, valueName: String, described: String, help: String,
    commands: Set<BatonCommand>
  ) -> Setting {
    Setting(
      name: name, valueName: valueName, allowed: "any text that is not empty",
      initial: .value(nil, described: described), help: help, commands: commands
    ) { $0.isEmpty ? nil : .some($0) }
  }
}

extension Setting where Value == EngineID? {
  static func engineName(
    _ name: String, described: String, help: String, commands: Set<BatonCommand>
  ) -> Setting {
    Setting(
      name: name, valueName: "NAME",
      allowed: "1 to \(Limits.maximumEngineNameBytes) characters of a-z A-Z 0-9 . _ -",
      initial: .value(nil, described: described), help: help, commands: commands
    ) { text in
      (try? EngineID(text)).map { .some($0) }
    }
  }
}

extension Setting where Value == [String] {
  /// Addresses of control ports, commas between them.
  static func addresses(
    _ name: String, initial: Default, help: String, commands: Set<BatonCommand>
  ) -> Setting {
    Setting(
      name: name, valueName: "ADDRESS",
      allowed: "HOST:PORT, unix:/PATH or unix:@NAME, several with commas between them",
      initial: initial, help: help, commands: commands, isList: true
    ) { text in
      let addresses = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      return addresses.allSatisfy(AddressSyntax.isControlAddress) ? addresses : nil
    }
  }
}

extension Setting where Value == UInt8? {
  static func gidIndex(
    _ name: String, described: String, help: String, commands: Set<BatonCommand>
  ) -> Setting {
    Setting(
      name: name, valueName: "N", allowed: "a whole number from 0 to 255",
      initial: .value(nil, described: described), help: help, commands: commands
    ) { text in UInt8(text).map { .some($0) } }
  }
}

extension Setting where Value == [TransportKind] {
  /// Some of the transports, commas between them; all where it is not given. The order of
  /// preference is theirs, whatever the order in the text.
  static func transports(_ name: String, help: String, commands: Set<BatonCommand>) -> Setting {
    let all = TransportKind.allCases.map(\.description)
    return Setting(
      name: name, valueName: all.joined(separator: ","),
      allowed: all.joined(separator: ", ") + ", several with commas between them",
      initial: .text(all.joined(separator: ",")), help: help, commands: commands, isList: true
    ) { text in
      let kinds = text.split(separator: ",", omittingEmptySubsequences: false)
        .map { TransportKind(rawValue: String($0)) }
      guard !kinds.contains(nil) else { return nil }
      return TransportKind.allCases.filter(kinds.contains)
    }
  }
}
