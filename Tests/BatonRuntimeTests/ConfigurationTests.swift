import BatonRuntime
import ControlProtocol
import Foundation
import KVCore
import Testing

@Suite("Configurations") struct ConfigurationTests {
  private func settings(_ flags: [String: String]) throws -> SettingsResolver {
    try SettingsResolver(flags: flags.mapValues { [$0] }, environment: [:])
  }

  @Test("tell other engines the listening addresses where nothing else is given")
  func advertise() throws {
    let plain = try EngineConfiguration(role: .prefill, settings: settings(["listen": "a:1,b:2"]))
    #expect(plain.listen == ["a:1", "b:2"])
    #expect(plain.advertise == ["a:1", "b:2"])
    let advertised = try EngineConfiguration(
      role: .prefill, settings: settings(["listen": "0.0.0.0:1", "advertise": "a:1"]))
    #expect(advertised.advertise == ["a:1"])
  }

  @Test("an address that stands for all of the machine's must be told to engines as another")
  func wildcard() throws {
    for text in ["0.0.0.0:1", "[::]:1", "127.0.0.1:1,0.0.0.0:2"] {
      let error = #expect(throws: BatonError.self) {
        try EngineConfiguration(
          role: .prefill, settings: settings(["listen": text, "cluster-key-file": "/k"]))
      }
      #expect(error?.message.contains("--advertise") == true, "\(text)")
    }
  }

  @Test("a key file is read, and refused when it is not there, open to all or no key")
  func keyFile() throws {
    let path = FileManager.default.temporaryDirectory
      .appending(path: "baton-key-\(UInt64.random(in: 0 ... .max))").path()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let control = try ControlConfiguration(settings: settings(["cluster-key-file": path]))
    func write(_ text: String, mode: Int) throws {
      try text.write(toFile: path, atomically: false, encoding: .utf8)
      try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }
    func refusal() -> String? {
      #expect(throws: BatonError.self) { try control.keys() }?.message
    }
    #expect(refusal()?.contains(path) == true)
    let key = String(repeating: "a1", count: 32)
    try write(key, mode: 0o644)
    #expect(refusal()?.contains("chmod g-w,o= \(path)") == true)
    try write(key, mode: 0o660)
    #expect(refusal()?.contains("chmod") == true)
    try write("secret", mode: 0o600)
    #expect(refusal()?.contains("line 1") == true)
    try write(key + "\n", mode: 0o640)
    let keys = try control.keys()
    #expect(keys == (try ClusterKeys([ClusterKey([UInt8](repeating: 0xa1, count: 32))])))
    #expect(try ControlConfiguration(settings: settings([:])).keys() == nil)
  }

  @Test("have a name made of role and process, and at least one thread")
  func derived() throws {
    let engine = try EngineConfiguration(role: .decode, settings: settings([:]))
    #expect(engine.name.name.hasPrefix("decode-"))
    #expect(engine.threads >= 1)
    let two = try EngineConfiguration(role: .decode, settings: settings(["threads": "2"]))
    #expect(two.threads == 2)
  }

  @Test("refuse a proxy without engines that can answer")
  func proxyWithoutEngines() throws {
    for flags in [[:], ["prefill-address": "a:1"], ["decode-address": "a:1"]] {
      let error = try #require(throws: BatonError.self) {
        try ProxyConfiguration(settings: settings(flags))
      }
      #expect(error.message.contains("--hybrid-address"))
    }
    let hybrid = try ProxyConfiguration(settings: settings(["hybrid-address": "a:1"]))
    #expect(hybrid.hybrid == ["a:1"])
  }

  @Test("refuse a fleet that cannot answer")
  func fleetWithoutEngines() throws {
    for flags in [["prefill": "0"], ["decode": "0"], ["prefill": "0", "decode": "0"]] {
      #expect(throws: BatonError.self) {
        try UpConfiguration(settings: settings(flags), cores: 2)
      }
    }
    let hybrid = try UpConfiguration(
      settings: settings(["prefill": "0", "decode": "0", "hybrid": "1"]), cores: 2)
    #expect(hybrid.hybrid == 1)
  }

  @Test(
    "divide the cores among the engines of a fleet unless threads are given",
    arguments: [(2, "1", nil, 1), (16, "3", nil, 4), (1, "3", nil, 1), (16, "3", "5", 5)])
  func threads(cores: Int, prefill: String, given: String?, expected: Int) throws {
    var flags = ["prefill": prefill]
    flags["threads"] = given
    #expect(try UpConfiguration(settings: settings(flags), cores: cores).threads == expected)
  }

  @Test("name the abstract sockets of a fleet so that the proxy finds every engine")
  func plan() throws {
    let configuration = try UpConfiguration(
      settings: settings([
        "prefill": "2", "hybrid": "1", "handoff": "copy", "verify": "off", "model": "/m",
      ]),
      cores: 8)
    let plan = FleetPlan(configuration: configuration, tag: "t")
    #expect(
      plan.processes.map(\.name) == ["prefill-0", "prefill-1", "decode-0", "hybrid-0", "proxy"])
    let proxy = try #require(plan.processes.last)
    for engine in plan.processes.dropLast() {
      let address = "unix:@baton-t-\(engine.name)"
      #expect(engine.arguments.contains(address))
      #expect(proxy.arguments.contains(address))
      #expect(AddressSyntax.isControlAddress(address))
    }
    let decode = plan.processes[2].arguments
    #expect(decode.first == "decode")
    #expect(decode.contains("--handoff") && decode.contains("copy"))
    #expect(decode.contains("--verify") && decode.contains("off"))
    #expect(!plan.processes[0].arguments.contains("--handoff"))
  }

  @Test("give each process of a fleet only flags that its command has")
  func flags() throws {
    let configuration = try UpConfiguration(
      settings: settings(["hybrid": "1", "model": "/m", "served-model-name": "m"]), cores: 8)
    for process in FleetPlan(configuration: configuration, tag: "t").processes {
      let command = try #require(BatonCommand(rawValue: process.arguments[0]))
      let allowed = Settings.all(of: command).map(\.flag)
      for flag in process.arguments where flag.hasPrefix("--") {
        #expect(allowed.contains(flag), "\(process.name) \(flag)")
      }
    }
  }
}
