import ControlProtocol
import KVCore
import Verbs

/// This machine's RDMA devices, opened for use by links. The devices stay the same; their ports
/// come and go.
struct RDMAHardware: Sendable {
  /// One port, and what is made on its device.
  struct Port: Sendable {
    let domain: ProtectionDomain
    let port: DeviceContext.Port
    /// Which GID of the port must be used; nil for any.
    let forcedGID: UInt8?

    var device: DeviceContext { domain.device }

    /// What the peer is told of it.
    var info: RDMAEndpoint.Port {
      RDMAEndpoint.Port(
        isEthernet: port.isEthernet, lid: port.lid, mtu: UInt32(port.mtu.rawValue),
        gids: port.gids.map {
          RDMAEndpoint.GlobalID(gid: $0.bytes, index: $0.index, type: $0.kind.rawValue)
        })
    }
  }

  /// One for each device.
  let domains: [ProtectionDomain]
  private let gidIndex: UInt8?

  var devices: [DeviceContext] { domains.map(\.device) }

  /// Opens all devices; those that cannot be opened are left out.
  ///
  /// Throws `invalidArgument` for a GID index that no active port has.
  init(gidIndex: UInt8?) throws(BatonError) {
    var domains: [ProtectionDomain] = []
    for name in DeviceContext.deviceNames() {
      guard let device = try? DeviceContext(opening: name),
        let domain = try? ProtectionDomain(device: device)
      else { continue }
      domains.append(domain)
    }
    self.domains = domains
    self.gidIndex = gidIndex
    let ports = activePorts()
    if let gidIndex, !ports.isEmpty,
      !ports.contains(where: { $0.port.gids.contains { $0.index == gidIndex } })
    {
      let all = ports.flatMap { $0.port.gids.map(\.description) }.joined(separator: "; ")
      throw BatonError(
        .invalidArgument, "GID index \(gidIndex) is on no active port; there are \(all)")
    }
  }

  /// The ports that are up now and can be reached, with the addresses that they have now.
  func activePorts() -> [Port] {
    domains.flatMap { domain in
      domain.device.ports()
        .filter { $0.isActive && (!$0.isEthernet || !$0.gids.isEmpty) }
        .map { Port(domain: domain, port: $0, forcedGID: gidIndex) }
    }
  }
}
