package import ArgumentParser
package import BatonRuntime
import Foundation
import KVCore

/// Options that were given on the command line, each by its setting's name.
package typealias GivenSettings = [String: [String]]

/// Options of one or several commands, all of them rows of the table of settings.
protocol SettingOptions: ParsableArguments {
  var given: GivenSettings { get }
}

/// A command whose options are settings.
package protocol SettingsCommand: AsyncParsableCommand {
  static var command: BatonCommand { get }
  var given: GivenSettings { get }
}

extension SettingsCommand {
  /// What `read` finds in the command's settings.
  ///
  /// Throws `ExitCode` after saying what is wrong: of a `ValidationError` that is thrown here, the
  /// parser no longer knows which subcommand's usage belongs to it.
  func configuration<Value>(
    _ read: (SettingsResolver) throws(BatonError) -> Value
  ) throws -> Value {
    do throws(BatonError) {
      let environment = ProcessInfo.processInfo.environment
      return try read(SettingsResolver(flags: given, environment: environment))
    } catch {
      let text =
        "Error: \(error.message)\n  See 'baton \(Self.command) --help' for more "
        + "information.\n"
      // What cannot be written to standard error has no better place to be reported.
      try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
      throw ExitCode(ExitStatus.usage.rawValue)
    }
  }
}

/// Puts together the options that were given; what was not given has no texts.
func givenSettings(_ options: (setting: any SettingDescription, texts: [String])...)
  -> GivenSettings
{
  var given: GivenSettings = [:]
  for (setting, texts) in options where !texts.isEmpty { given[setting.name] = texts }
  return given
}

extension String? {
  /// The texts of an option that takes one value.
  var texts: [String] { map { [$0] } ?? [] }
}

extension GivenSettings {
  static func + (left: GivenSettings, right: GivenSettings) -> GivenSettings {
    left.merging(right) { $0 + $1 }
  }
}
