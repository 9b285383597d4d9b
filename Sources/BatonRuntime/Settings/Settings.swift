package import ControlTransport
package import KVCore
package import Logging

/// Every setting of Baton: one table that the command line, the environment, the file, the help
/// and the tests share.
package enum Settings {
  private static let engines = BatonCommand.engines
  private static let enginesAndUp = BatonCommand.engines.union([.up])
  private static let edge: Set<BatonCommand> = [.proxy, .up]

  package static let model = Setting.optionalText(
    "model", valueName: "DIR", described: "the small model inside baton",
    help: "Directory of a Hugging Face checkpoint of the Llama family "
      + "(config.json, tokenizer.json, *.safetensors).",
    commands: enginesAndUp)

  package static let prefill = Setting.integer(
    "prefill", in: 0...64, default: 1, help: "Prefill engines to start.", commands: [.up])
  package static let decode = Setting.integer(
    "decode", in: 0...64, default: 1, help: "Decode engines to start.", commands: [.up])
  package static let hybrid = Setting.integer(
    "hybrid", in: 0...64, default: 0,
    help: "Hybrid engines to start, which read prompts and write answers.", commands: [.up])

  package static let prefillAddress = Setting.addresses(
    "prefill-address", initial: .value([], described: "none"),
    help: "Control addresses of the prefill engines.", commands: [.proxy])
  package static let decodeAddress = Setting.addresses(
    "decode-address", initial: .value([], described: "none"),
    help: "Control addresses of the decode engines.", commands: [.proxy])
  package static let hybridAddress = Setting.addresses(
    "hybrid-address", initial: .value([], described: "none"),
    help: "Control addresses of the hybrid engines.", commands: [.proxy])

  package static let host = Setting.text(
    "host", valueName: "HOST", default: "127.0.0.1",
    help: "Address on which clients are served over HTTP.", commands: edge)
  package static let port = Setting.integer(
    "port", in: 0...65_535, default: 8_000,
    help: "Port on which clients are served over HTTP; 0 takes a free one.",
    commands: edge.union([.generate]))
  package static let controlAddress = Setting.addresses(
    "control-address", initial: .value([], described: "unix:@baton-PORT, none with port 0"),
    help: "Control addresses on which the proxy serves baton generate and other clients of the "
      + "protocol; other than loopback and Unix sockets only with a cluster key.",
    commands: edge.union([.generate]))
  package static let servedModelName = Setting.optionalText(
    "served-model-name", valueName: "NAME", described: "the engines' name of it",
    help: "Name by which clients ask for the model.", commands: edge)
  package static let maxConcurrent = Setting.integer(
    "max-concurrent", in: 1...65_536, default: 256,
    help: "Completions in progress at once; more are answered with status 429.", commands: edge)
  package static let requestTimeout = Setting.integer(
    "request-timeout", in: 1...86_400, default: 600,
    help: "Seconds that a completion may take in all.", commands: edge)

  package static let name = Setting.engineName(
    "name", described: "role, host and process id",
    help: "Name of this process in the fleet, in logs and in metrics.",
    commands: engines.union([.proxy]))
  package static let listen = Setting.addresses(
    "listen", initial: .text("127.0.0.1:8100"),
    help: "Control addresses to listen on; other than loopback and Unix sockets only with a "
      + "cluster key.", commands: engines)
  package static let advertise = Setting.addresses(
    "advertise", initial: .value([], described: "what --listen says"),
    help: "Control addresses that other engines are told to use.", commands: engines)

  package static let clusterKeyFile = Setting.optionalText(
    "cluster-key-file", valueName: "FILE", described: "none",
    help: "File with the key that all processes of the fleet prove to each other: 64 hexadecimal "
      + "digits, as openssl rand -hex 32 writes them; on two lines the old one and the new one.",
    commands: BatonCommand.all)

  package static let compression = Setting.choice(
    "compression", default: ControlOptions.Compression.remote,
    help: "When long control messages are compressed with zstd: between machines only, always or "
      + "never.", commands: BatonCommand.services)
  package static let peerTimeout = Setting.integer(
    "peer-timeout-ms", in: 100...600_000, default: Int(TransportLimits.peerTimeoutMilliseconds),
    help: "Milliseconds that another process may say nothing, though asked, before it is given up.",
    commands: BatonCommand.services)

  package static let handoff = Setting.choice(
    "handoff", default: HandoffMode.borrow,
    help: "What decode does with KV blocks of a prefill engine on its node: "
      + "borrow reads them where they are, copy copies them before the first step.",
    commands: [.decode, .up])
  package static let verify = Setting.choice(
    "verify", default: VerifyMode.full,
    help: "Whether decode checks the checksums of KV blocks while it copies them; "
      + "blocks that are read in place are never checked so.",
    commands: [.decode, .up])
  package static let transport = Setting.transports(
    "transport",
    help: "Ways by which KV blocks may move; each link takes the best that both engines can use, "
      + "and the next where that fails.",
    commands: [.prefill, .decode, .up])
  package static let lanes = Setting.integer(
    "lanes", in: 1...64, default: 4,
    help: "Data connections that decode opens for one link, where KV blocks move over the network.",
    commands: [.decode, .up])
  package static let gidIndex = Setting.gidIndex(
    "gid-index", described: "the best for each peer",
    help: "Entry of an RDMA port's table of GIDs that must be used; baton doctor lists them.",
    commands: [.prefill, .decode])
  package static let trafficClass = Setting.integer(
    "traffic-class", in: 0...255, default: 0,
    help: "Traffic class of RDMA packets, on RoCE the IP header's: DSCP 26 is 104.",
    commands: [.prefill, .decode])
  package static let serviceLevel = Setting.integer(
    "service-level", in: 0...15, default: 0,
    help: "Service level of RDMA packets, on RoCE their VLAN priority.",
    commands: [.prefill, .decode])
  package static let dataPort = Setting.integer(
    "data-port", in: 0...65_535, default: 0,
    help: "Port on which data connections are taken, on the hosts of --listen; 0 takes a free one.",
    commands: [.prefill])
  package static let kvDataType = Setting.choice(
    "kv-dtype", default: KVDataType.bfloat16, help: "How keys and values are stored.",
    commands: enginesAndUp)
  package static let kvBlocks = Setting.integer(
    "kv-blocks", in: 1...Limits.maximumPoolBlocks, default: 4_096,
    help: "KV blocks in the pool of each engine.", commands: enginesAndUp)
  package static let blockTokens = Setting.integer(
    "block-tokens", in: 1...1_024, default: 16,
    help: "Tokens in one KV block; the same in the whole fleet.", commands: enginesAndUp)
  package static let prefillChunk = Setting.integer(
    "prefill-chunk", in: 1...65_536, default: 256,
    help: "Tokens of a prompt that are computed in one pass.", commands: [.prefill, .hybrid, .up])
  package static let recallBelow = Setting.integer(
    "recall-below", in: 0...100, default: 25,
    help: "With less than this part of a prefill engine's pool free, in percent, decode engines "
      + "are asked to take over the blocks that they read in place, the longest lent first; "
      + "with 0 only when a prompt waits for blocks.",
    commands: [.prefill, .up])
  package static let threads = Setting.integer(
    "threads", in: 0...Limits.maximumThreadsPerEngine, default: 0,
    help: "Threads that compute in one engine; 0 takes all cores, "
      + "which baton up divides among its engines.",
    commands: enginesAndUp)

  package static let logLevel = Setting<Logger.Level>(
    name: "log-level", valueName: "LEVEL",
    allowed: Logger.Level.allCases.map(\.rawValue).joined(separator: " or "),
    initial: .text(Logger.Level.info.rawValue), help: "The least important events to log.",
    commands: BatonCommand.services
  ) { Logger.Level(rawValue: $0) }
  package static let config = Setting.optionalText(
    "config", valueName: "FILE", described: "none",
    help: "JSON file of settings, for example {\"handoff\": \"copy\", \"port\": 9000}.",
    commands: BatonCommand.all)

  /// In the order in which help lists them.
  package static let all: [any SettingDescription] = [
    model, prefill, decode, hybrid, prefillAddress, decodeAddress, hybridAddress, host, port,
    controlAddress,
    servedModelName, maxConcurrent, requestTimeout, name, listen, advertise, clusterKeyFile,
    compression, peerTimeout, handoff, verify, transport, lanes, gidIndex, trafficClass,
    serviceLevel, dataPort, kvDataType, kvBlocks, blockTokens, prefillChunk, recallBelow, threads,
    logLevel, config,
  ]

  package static func all(of command: BatonCommand) -> [any SettingDescription] {
    all.filter { $0.commands.contains(command) }
  }
}
