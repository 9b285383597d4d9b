import ControlProtocol
import KVCore
import Verbs

/// The active ports of this machine's RDMA devices, opened for use by links.
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

  let ports: [Port]

  /// Opens all devices; those that cannot be opened, and ports that are not up, are left out.
  ///
  /// Throws `invalidArgument` for a GID index that no port has.
  init(gidIndex: UInt8?) throws(BatonError) {
    var ports: [Port] = []
    for name in DeviceContext.deviceNames() {
      guard let device = try? DeviceContext(opening: name),
        let domain = try? ProtectionDomain(device: device)
      else { continue }
      for port in device.ports() where port.isActive && (!port.isEthernet || !port.gids.isEmpty) {
        ports.append(Port(domain: domain, port: port, forcedGID: gidIndex))
      }
    }
    if let gidIndex, !ports.isEmpty,
      !ports.contains(where: { $0.port.gids.contains { $0.index == gidIndex } })
    {
      let all = ports.flatMap { $0.port.gids.map(\.description) }.joined(separator: "; ")
      throw BatonError(
        .invalidArgument, "GID index \(gidIndex) is on no active port; there are \(all)")
    }
    self.ports = ports
  }
}

/// The memory of one region, registered once with each device.
final class RDMARegistration: Sendable {
  /// An MR that an array can hold.
  private final class OneDevice: Sendable {
    let device: String
    let memory: RegisteredMemory

    init(device: String, memory: consuming RegisteredMemory) {
      self.device = device
      self.memory = memory
    }
  }

  let key: RegionKey
  let address: UInt
  let length: Int
  private let devices: [OneDevice]
  /// Kept as long as a device may use the memory.
  private let owner: any AnyObject & Sendable

  /// Pins the region's memory. Blocks, for long where it is much.
  ///
  /// Throws as `RegisteredMemory.init` does.
  init(
    _ region: MemoryRegion, address: UInt, use: RegisteredMemory.Use, hardware: RDMAHardware
  ) throws(BatonError) {
    key = region.key
    self.address = address
    length = region.length.rawValue
    owner = region.owner
    var devices: [OneDevice] = []
    for port in hardware.ports where !devices.contains(where: { $0.device == port.device.name }) {
      devices.append(
        OneDevice(
          device: port.device.name,
          memory: try RegisteredMemory(
            port.domain, address: address, length: length, use: use)))
    }
    self.devices = devices
  }

  /// Whether the bytes from `address` on are this region's.
  func contains(_ address: UInt, _ length: Int) -> Bool {
    self.address <= address && address + UInt(length) <= self.address + UInt(self.length)
  }

  /// What binds a window to a part of the region.
  func binding(
    of window: MemoryWindow, to extent: RegionExtent, on port: RDMAHardware.Port
  ) -> MemoryWindow.Change? {
    devices.first { $0.device == port.device.name }.map {
      .bind(window, to: $0.memory, offset: extent.offset, length: extent.length)
    }
  }

  func localKey(on port: RDMAHardware.Port) -> UInt32 {
    devices.first { $0.device == port.device.name }?.memory.localKey ?? 0
  }

  func remoteKey(on port: RDMAHardware.Port) -> UInt32 {
    devices.first { $0.device == port.device.name }?.memory.remoteKey ?? 0
  }
}
