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
  /// What a small pool lies on here; nil where none could be made.
  package var poolPages: PageReport?
  /// Devices that could be opened.
  package var devices: [Device]
  /// The names of those that could not.
  package var lockedDevices: [String]
  /// How much memory the process may pin for devices.
  package var lockedMemory: LockedMemory
  /// Nil where they cannot be read.
  package var socketBuffers: SocketBuffers?

  package init(
    availableMemory: ByteCount, hugePages: HugePageSettings, poolPages: PageReport?,
    devices: [Device], lockedDevices: [String], lockedMemory: LockedMemory,
    socketBuffers: SocketBuffers?
  ) {
    self.availableMemory = availableMemory
    self.hugePages = hugePages
    self.poolPages = poolPages
    self.devices = devices
    self.lockedDevices = lockedDevices
    self.lockedMemory = lockedMemory
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
      availableMemory: SystemMemory.availableBytes(), hugePages: .current(),
      poolPages: try? samplePages(), devices: devices, lockedDevices: locked,
      lockedMemory: .current(), socketBuffers: .current())
  }

  /// Makes shared memory as a pool does, and lets it go.
  private static func samplePages() throws(BatonError) -> PageReport {
    let file = try SharedMemoryFile.create(name: "baton-doctor", length: .mebibytes(4))
    let mapping = try SharedMapping(of: file, access: .readWrite)
    try mapping.populate()
    return mapping.pageReport()
  }
}
