package import KVCore

/// Over what an engine's links move KV blocks.
package struct MigrationConfiguration: Hashable, Sendable {
  /// Those that may be used, the best first.
  package var transports: [TransportKind]
  /// Data connections of one link.
  package var lanes: Int
  /// On which a prefill engine takes data connections; 0 for any that is free.
  package var dataPort: UInt16
  /// Which entry of a port's table of GIDs RDMA uses; nil for the best.
  package var gidIndex: UInt8?
  /// Of RDMA packets.
  package var trafficClass: UInt8
  /// 0 to 15.
  package var serviceLevel: UInt8

  /// Throws `BatonError` with `invalidArgument` for a setting that is given a wrong value.
  init(settings: SettingsResolver) throws(BatonError) {
    transports = try settings.value(of: Settings.transport)
    lanes = try settings.value(of: Settings.lanes)
    gidIndex = try settings.value(of: Settings.gidIndex)
    trafficClass = UInt8(try settings.value(of: Settings.trafficClass))
    serviceLevel = UInt8(try settings.value(of: Settings.serviceLevel))
    dataPort = UInt16(try settings.value(of: Settings.dataPort))
  }

  /// What gives an engine that `baton up` starts the same configuration.
  func arguments(of command: BatonCommand) -> [String] {
    var arguments: [String] = []
    if Settings.transport.commands.contains(command) {
      let names = transports.map(\.description).joined(separator: ",")
      arguments += [Settings.transport.flag, names]
    }
    if Settings.lanes.commands.contains(command) {
      arguments += [Settings.lanes.flag, "\(lanes)"]
    }
    return arguments
  }
}
