import BatonRuntime
import KVCore
import Testing

@Suite("The table of settings") struct SettingsTableTests {
  /// A text that no setting of its kind takes.
  private static let wrongTexts: [String: String] = [
    "model": "", "prefill": "65", "decode": "-1", "hybrid": "one", "prefill-address": "localhost",
    "decode-address": "unix:relative", "hybrid-address": "host:0", "host": "", "port": "65536",
    "served-model-name": "", "max-concurrent": "0", "name": "a b", "listen": "127.0.0.1:8100,",
    "advertise": ":8100", "handoff": "steal", "verify": "half", "kv-dtype": "f16", "kv-blocks": "0",
    "block-tokens": "1025", "prefill-chunk": "0", "recall-below": "101", "threads": "2.5",
    "log-level": "loud", "control-address": "8000", "cluster-key-file": "", "compression": "gzip",
    "peer-timeout-ms": "1", "request-timeout": "0",
    "transport": "shm,ucx", "lanes": "0", "data-port": "65536", "gid-index": "256",
    "traffic-class": "256", "service-level": "16",
    "config": "",
  ]

  @Test("names each setting once, with lower-case words joined by dashes")
  func names() {
    let names = Settings.all.map(\.name)
    #expect(Set(names).count == names.count)
    for name in names {
      #expect(name.wholeMatch(of: /[a-z]+(-[a-z]+)*/) != nil, "\(name)")
    }
  }

  @Test("has a variable, a help text and a command for each setting")
  func descriptions() {
    for setting in Settings.all {
      #expect(setting.flag == "--\(setting.name)")
      #expect(setting.environmentVariable.wholeMatch(of: /BATON(_[A-Z]+)+/) != nil)
      #expect(setting.help.hasSuffix("."), "\(setting.name)")
      #expect(!setting.allowed.isEmpty && !setting.defaultText.isEmpty, "\(setting.name)")
      #expect(!setting.commands.isEmpty, "\(setting.name)")
    }
    #expect(Settings.kvDataType.environmentVariable == "BATON_KV_DTYPE")
  }

  @Test("takes each default where nothing is given")
  func defaults() throws {
    let settings = try SettingsResolver(flags: [:], environment: [:])
    #expect(try settings.value(of: Settings.model) == nil)
    #expect(try settings.value(of: Settings.port) == 8_000)
    #expect(try settings.value(of: Settings.handoff) == .borrow)
    #expect(try settings.value(of: Settings.verify) == .full)
    #expect(try settings.value(of: Settings.kvDataType) == .bfloat16)
    #expect(try settings.value(of: Settings.listen) == ["127.0.0.1:8100"])
    #expect(try settings.value(of: Settings.advertise) == [])
    for setting in Settings.all where setting.defaultText != "none" {
      if let literal = setting as? any LiteralDefault, literal.isLiteral {
        #expect(throws: Never.self, "\(setting.name)") {
          try setting.check(setting.defaultText, from: setting.flag)
        }
      }
    }
  }

  @Test("refuses a wrong value of each setting with the flag, the value and what is allowed")
  func wrongValues() throws {
    #expect(Set(Self.wrongTexts.keys) == Set(Settings.all.map(\.name)))
    for setting in Settings.all {
      let text = try #require(Self.wrongTexts[setting.name])
      let error = try #require(
        throws: BatonError.self, "\(setting.name)"
      ) { try setting.check(text, from: setting.flag) }
      #expect(error.code == .invalidArgument)
      #expect(error.message.contains(setting.flag))
      #expect(error.message.contains("\"\(text)\""))
      #expect(error.message.contains(setting.allowed))
    }
  }

  @Test(
    "takes addresses of every kind",
    arguments: [
      "127.0.0.1:1", "prefill-0.internal:65535", "[::1]:8100", "unix:/run/baton/a", "unix:@name",
    ])
  func addresses(text: String) {
    #expect(AddressSyntax.isControlAddress(text))
  }

  @Test(
    "refuses what is no address",
    arguments: [
      "", "host", "host:", "host:x", "host:65536", "::1:8100", "[]:1", "unix:", "unix:@",
      "unix:name", "unix:/" + String(repeating: "x", count: 107), "a b:1",
    ])
  func wrongAddresses(text: String) {
    #expect(!AddressSyntax.isControlAddress(text))
  }
}

/// Whether a setting's default is a text that can be given as well.
private protocol LiteralDefault {
  var isLiteral: Bool { get }
}

extension Setting: LiteralDefault {
  fileprivate var isLiteral: Bool {
    switch initial {
    case .text: true
    case .value: false
    }
  }
}
