package import KVCore
package import Platform
package import Verbs

/// What of this machine decides how KV blocks can move.
package struct MachineFacts: Hashable, Sendable {
  package struct Device: Hashable, Sendable {
    package let name: String
    package let limits: DeviceContext.Limits
    package let ports: [DeviceContext.Port]

    package init(name: String, limits: DeviceContext.Limits, ports: [DeviceContext.Port]) {
      self.name = name
      self.limits = limits
      self.ports = ports
    }
  }

  /// What can be taken without swapping.
  package var availableMemory: ByteCount
  package var hugePages: HugePageSettings
  /// Devices that could be opened.
  package var devices: [Device]
  /// The names of those that could not.
  package var lockedDevices: [String]
  /// How much memory the process may pin; nil for any amount.
  package var pinnedLimit: ByteCount?
  /// Nil where they cannot be read.
  package var socketBuffers: SocketBuffers?

  package init(
    availableMemory: ByteCount, hugePages: HugePageSettings, devices: [Device],
    lockedDevices: [String], pinnedLimit: ByteCount?,
    socketBuffers: SocketBuffers?
  ) {
    self.availableMemory = availableMemory
    self.hugePages = hugePages
    self.devices = devices
    self.lockedDevices = lockedDevices
    self.pinnedLimit = pinnedLimit
    self.socketBuffers = socketBuffers
  }

  /// As they are now.
  package static func current() -> MachineFacts {
    var devices: [Device] = []
    var locked: [String] = []
    for name in DeviceContext.deviceNames() {
      if let device = try? DeviceContext(opening: name) {
        devices.append(Device(name: name, limits: device.limits, ports: device.ports()))
      } else {
        locked.append(name)
      }
    }
    return MachineFacts(
      availableMemory: SystemMemory.availableBytes(), hugePages: .current(), devices: devices,
      lockedDevices: locked, pinnedLimit: RegisteredMemory.pinnedLimit,
      socketBuffers: .current())
  }
}
