import KVCore
import Logging

/// The processes that `baton up` starts, as values.
package struct FleetPlan: Hashable, Sendable {
  /// One process: the name that its log lines are prefixed with, and its command line.
  package struct Process: Hashable, Sendable {
    package let name: String
    /// Without the executable.
    package let arguments: [String]
  }

  package let engines: [Process]
  package let proxy: Process

  /// The engines, then the proxy.
  package var processes: [Process] { engines + [proxy] }

  /// Control ports are Unix sockets in the abstract namespace (unix(7)), whose names vanish with
  /// the process: nothing is left on any file system.
  ///
  /// - Parameter tag: what makes the sockets' names unique to this fleet.
  package init(configuration: UpConfiguration, tag: String) {
    var engines: [Process] = []
    var proxy = ["proxy", Settings.name.flag, "proxy"]
    let fleet: [(command: BatonCommand, count: Int, flag: String)] = [
      (.prefill, configuration.prefill, Settings.prefillAddress.flag),
      (.decode, configuration.decode, Settings.decodeAddress.flag),
      (.hybrid, configuration.hybrid, Settings.hybridAddress.flag),
    ]
    for (command, count, flag) in fleet {
      for index in 0..<count {
        let name = "\(command)-\(index)"
        let address = "unix:@baton-\(tag)-\(name)"
        engines.append(
          Process(
            name: name,
            arguments: Self.engineArguments(
              command, name: name, address: address, configuration: configuration)))
        proxy += [flag, address]
      }
    }
    proxy += [
      Settings.host.flag, configuration.host, Settings.port.flag, "\(configuration.port)",
      Settings.maxConcurrent.flag, "\(configuration.maxConcurrent)",
      Settings.requestTimeout.flag, "\(configuration.requestTimeoutSeconds)",
      Settings.logLevel.flag, configuration.logLevel.rawValue,
    ]
    proxy += configuration.control.arguments
    for address in configuration.controlAddresses {
      proxy += [Settings.controlAddress.flag, address]
    }
    if let name = configuration.servedModelName { proxy += [Settings.servedModelName.flag, name] }
    self.engines = engines
    self.proxy = Process(name: "proxy", arguments: proxy)
  }

  private static func engineArguments(
    _ command: BatonCommand, name: String, address: String, configuration: UpConfiguration
  ) -> [String] {
    var arguments = [
      command.rawValue, Settings.name.flag, name, Settings.listen.flag, address,
      Settings.advertise.flag, address,
      Settings.kvDataType.flag, configuration.kvDataType.description,
      Settings.kvBlocks.flag, "\(configuration.kvBlocks)",
      Settings.blockTokens.flag, "\(configuration.blockTokens)",
      Settings.threads.flag, "\(configuration.threads)",
      Settings.logLevel.flag, configuration.logLevel.rawValue,
    ]
    arguments += configuration.control.arguments
    arguments += configuration.migration.arguments(of: command)
    if let directory = configuration.modelDirectory {
      arguments += [Settings.model.flag, directory]
    }
    if Settings.handoff.commands.contains(command) {
      arguments += [Settings.handoff.flag, configuration.handoff.description]
    }
    if Settings.verify.commands.contains(command) {
      arguments += [Settings.verify.flag, configuration.verify.description]
    }
    if Settings.prefillChunk.commands.contains(command) {
      arguments += [Settings.prefillChunk.flag, "\(configuration.prefillChunk)"]
    }
    if Settings.recallBelow.commands.contains(command) {
      arguments += [Settings.recallBelow.flag, "\(configuration.recallBelow)"]
    }
    return arguments
  }
}
