import BatonRuntime
import ControlTransport
import Foundation
import KVCore
import Testing

@Suite("Resolving settings") struct SettingsResolverTests {
  /// Calls `body` with the path of a file that has `text`, and removes it.
  private func withFile<Result>(
    _ text: String, _ body: (String) throws -> Result
  ) throws -> Result {
    let url = FileManager.default.temporaryDirectory.appending(
      path: "baton-settings-\(UUID().uuidString).json")
    try Data(text.utf8).write(to: url)
    defer { try? FileManager.default.removeItem(at: url) }
    return try body(url.path())
  }

  @Test("prefers the flag to the variable, the variable to the file, the file to the default")
  func order() throws {
    try withFile(#"{"port": 3, "handoff": "copy"}"#) { path in
      let flags = ["config": [path], "port": ["1"]]
      let all = try SettingsResolver(flags: flags, environment: ["BATON_PORT": "2"])
      #expect(try all.value(of: Settings.port) == 1)
      let environment = try SettingsResolver(
        flags: ["config": [path]], environment: ["BATON_PORT": "2"])
      #expect(try environment.value(of: Settings.port) == 2)
      let file = try SettingsResolver(flags: [:], environment: ["BATON_CONFIG": path])
      #expect(try file.value(of: Settings.port) == 3)
      #expect(try file.value(of: Settings.handoff) == .copy)
      #expect(try file.value(of: Settings.blockTokens) == 16)
    }
  }

  @Test("takes every setting from its variable")
  func variables() throws {
    for setting in Settings.all where setting.name != Settings.config.name {
      let settings = try SettingsResolver(
        flags: [:], environment: [setting.environmentVariable: "\u{1}"])
      // A text that only free texts take shows by its refusal that the variable was read.
      if let error = Self.error(of: setting, in: settings) {
        #expect(error.message.contains(setting.environmentVariable), "\(setting.name)")
      } else {
        let freeTexts = ["model", "host", "served-model-name", "cluster-key-file"]
        #expect(freeTexts.contains(setting.name))
      }
    }
  }

  @Test("takes an empty variable for one that is not given")
  func emptyVariable() throws {
    let settings = try SettingsResolver(flags: [:], environment: ["BATON_MODEL": ""])
    #expect(try settings.value(of: Settings.model) == nil)
  }

  @Test("names the nearest variable for one that begins like ours and is none")
  func unknownVariable() throws {
    let error = try #require(throws: BatonError.self) {
      try SettingsResolver(flags: [:], environment: ["BATON_HANDOF": "copy"])
    }
    #expect(error.code == .invalidArgument)
    #expect(error.message.contains("\"BATON_HANDOF\""))
    #expect(error.message.contains("the nearest is \"BATON_HANDOFF\""))
    let other = try #require(throws: BatonError.self) {
      try SettingsResolver(flags: [:], environment: ["BATON_GPU_MEMORY": "1"])
    }
    #expect(!other.message.contains("nearest"))
    #expect(other.message.contains("BATON_KV_BLOCKS, BATON_KV_DTYPE"))
    #expect(throws: Never.self) {
      try SettingsResolver(
        flags: [:], environment: ["BATON_SUPERVISED": "1", "BATON_NONE": "", "PATH": "/bin"])
    }
  }

  @Test("takes lists from repeated flags, from commas and from a list in the file")
  func lists() throws {
    let expected = ["a:1", "b:2", "c:3"]
    let flags = try SettingsResolver(
      flags: ["prefill-address": ["a:1", "b:2,c:3"]], environment: [:])
    #expect(try flags.value(of: Settings.prefillAddress) == expected)
    try withFile(#"{"prefill-address": ["a:1", "b:2", "c:3"]}"#) { path in
      let file = try SettingsResolver(flags: ["config": [path]], environment: [:])
      #expect(try file.value(of: Settings.prefillAddress) == expected)
    }
  }

  @Test(
    "names the place, the value and what is allowed when a value is wrong",
    arguments: ["\"70000\"", "70000", "1.5", "true", "[1]"])
  func wrongValueInFile(value: String) throws {
    try withFile("{\"port\": \(value)}") { path in
      let error = try #require(throws: BatonError.self) {
        let settings = try SettingsResolver(flags: ["config": [path]], environment: [:])
        _ = try settings.value(of: Settings.port)
      }
      #expect(error.message.contains(path))
      #expect(error.message.contains(value == "[1]" ? "list of texts" : "0 to 65535"))
    }
  }

  @Test("names the nearest setting for a key that is none")
  func unknownKey() throws {
    try withFile(#"{"kv-block": 12}"#) { path in
      let error = try #require(throws: BatonError.self) {
        try SettingsResolver(flags: ["config": [path]], environment: [:])
      }
      #expect(error.message.contains("\"kv-block\""))
      #expect(error.message.contains("\"kv-blocks\""))
    }
  }

  @Test(
    "refuses a file that is missing or no object",
    arguments: [
      (nil, "does not exist"), ("", "is not valid JSON"), ("[]", "is not a JSON object"),
      ("{", "is not valid JSON"), ("{\"port\": {}}", "\"port\""),
    ])
  func wrongFile(text: String?, fault: String) throws {
    let resolve: (String) throws -> Void = { path in
      let error = try #require(throws: BatonError.self) {
        try SettingsResolver(flags: ["config": [path]], environment: [:])
      }
      #expect(error.code == .invalidArgument)
      #expect(error.message.contains("--config"))
      #expect(error.message.contains(path))
      #expect(error.message.contains(fault), "\(error.message)")
      #expect(!error.message.contains("Error"), "\(error.message)")
    }
    if let text {
      try withFile(text, resolve)
    } else {
      try resolve("/nonexistent/baton.json")
    }
  }

  private static func error(
    of setting: any SettingDescription, in settings: SettingsResolver
  ) -> BatonError? {
    func resolve<Value>(_ setting: Setting<Value>) -> BatonError? {
      do throws(BatonError) {
        _ = try settings.value(of: setting)
        return nil
      } catch {
        return error
      }
    }
    func open(_ setting: any SettingDescription) -> BatonError? {
      switch setting {
      case let setting as Setting<Int>: resolve(setting)
      case let setting as Setting<ControlOptions.Compression>: resolve(setting)
      case let setting as Setting<String>: resolve(setting)
      case let setting as Setting<String?>: resolve(setting)
      case let setting as Setting<[String]>: resolve(setting)
      case let setting as Setting<UInt8?>: resolve(setting)
      case let setting as Setting<[TransportKind]>: resolve(setting)
      case let setting as Setting<EngineID?>: resolve(setting)
      case let setting as Setting<KVDataType>: resolve(setting)
      case let setting as Setting<HandoffMode>: resolve(setting)
      case let setting as Setting<VerifyMode>: resolve(setting)
      default:
        resolve(Settings.logLevel)
      }
    }
    return open(setting)
  }
}
