import ArgumentParser
import BatonRuntime
import Testing
import baton

@Suite("The command line") struct CommandLineTests {
  private static let commands: [any SettingsCommand.Type] = [
    UpCommand.self, PrefillCommand.self, DecodeCommand.self, HybridCommand.self,
    ProxyCommand.self, GenerateCommand.self, WirePingCommand.self,
  ]

  @Test("has exactly the flags that the table of settings has for each command")
  func flags() throws {
    #expect(Set(Self.commands.map { $0.command }) == BatonCommand.all)
    for type in Self.commands {
      let settings = Settings.all(of: type.command)
      let arguments = settings.flatMap { [$0.flag, "given-\($0.name)"] }
      let command: any SettingsCommand = try type.parse(arguments)
      #expect(
        command.given
          == Dictionary(uniqueKeysWithValues: settings.map { ($0.name, ["given-\($0.name)"]) }),
        "\(type.command)")
      for setting in Settings.all where !setting.commands.contains(type.command) {
        #expect(throws: (any Error).self, "\(type.command) \(setting.flag)") {
          _ = try type.parse([setting.flag, "value"])
        }
      }
    }
  }

  @Test("says in each command's help what each setting allows, its default and its variable")
  func help() {
    for type in Self.commands {
      let help = Self.words(type.helpMessage(columns: 10_000))
      for setting in Settings.all(of: type.command) {
        #expect(help.contains("\(setting.flag) <\(setting.valueName)>"), "\(setting.flag)")
        #expect(help.contains(Self.words(setting.help)), "\(setting.flag)")
        #expect(help.contains(Self.words("Allowed: \(setting.allowed).")), "\(setting.flag)")
        #expect(help.contains(Self.words("Default: \(setting.defaultText).")), "\(setting.flag)")
        #expect(help.contains(setting.environmentVariable), "\(setting.flag)")
      }
    }
  }

  @Test("takes a list's flag several times")
  func lists() throws {
    let command = try ProxyCommand.parse([
      "--prefill-address", "a:1", "--prefill-address", "b:2", "--decode-address", "c:3,d:4",
    ])
    #expect(command.given["prefill-address"] == ["a:1", "b:2"])
    #expect(command.given["decode-address"] == ["c:3,d:4"])
  }

  /// `text` with every run of white space as one space, because help is wrapped.
  private static func words(_ text: String) -> String {
    text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
  }
}
