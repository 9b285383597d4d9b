import KVCore
import KVPool
import Platform
import Synchronization
import Verbs

/// The memory of one region, registered once with each device.
///
/// It is one memory region of the verbs per device, however long it is: peers are told one key for
/// it, and a READ may begin and end anywhere in it. What takes time for much memory is making its
/// pages present, and that several threads do before.
final class RDMARegistration: Sendable {
  /// An MR that an array can hold.
  private final class OneDevice: Sendable {
    let device: DeviceContext
    let memory: RegisteredMemory

    init(_ device: DeviceContext, memory: consuming RegisteredMemory) {
      self.device = device
      self.memory = memory
    }
  }

  let key: RegionKey
  let address: UInt
  let length: Int
  private let use: RegisteredMemory.Use
  /// Kept as long as a device may use the memory.
  private let owner: any AnyObject & Sendable
  private let devices = Mutex<[OneDevice]>([])
  /// What making the pages present took, and then the devices.
  private let populationTime: Duration
  private let pinningTime = Mutex(Duration.zero)

  /// Pins the region's memory for the devices of `ports`; `cover` does so for others.
  /// Blocks, for long where it is much.
  ///
  /// Throws as `RegisteredMemory.init` does.
  init(
    _ region: MemoryRegion, address: UInt, use: RegisteredMemory.Use,
    ports: [RDMAHardware.Port]
  ) throws(BatonError) {
    key = region.key
    self.address = address
    self.use = use
    length = region.length.rawValue
    owner = region.owner
    let start = ContinuousClock.now
    // Memory that this process cannot touch, a GPU's, the device may still know how to pin; and
    // what is in the way else, pinning says.
    try? SystemMemory.populate(
      address: address, length: region.length, isWritable: use == .targetOfReads)
    populationTime = ContinuousClock.now - start
    try cover(ports)
  }

  /// Pins the memory for the devices of `ports` that have it not yet, side by side. Blocks, for
  /// long where it is much. For one thread at a time.
  ///
  /// Throws as `RegisteredMemory.init` does; devices that took the memory keep it.
  func cover(_ ports: [RDMAHardware.Port]) throws(BatonError) {
    let known = devices.withLock { $0.map(\.device) }
    var domains: [ProtectionDomain] = []
    for port in ports
    where !known.contains(where: { $0 === port.device })
      && !domains.contains(where: { $0.device === port.device })
    {
      domains.append(port.domain)
    }
    let new = domains
    guard !new.isEmpty else { return }
    let start = ContinuousClock.now
    try PlatformThread.inParallel(new.count, name: "rdma-pin") { place throws(BatonError) in
      let domain = new[place]
      let device = OneDevice(
        domain.device,
        memory: try RegisteredMemory(
          domain, address: self.address, length: self.length, use: self.use,
          isRelaxed: self.isRelaxed))
      self.devices.withLock { $0.append(device) }
    }
    let took = ContinuousClock.now - start
    pinningTime.withLock { $0 += took }
  }

  /// Whether devices may write the memory out of order. The blocks of a pool have no stamps, by
  /// which readers would know what else is there: those lie in a region of their own. What a READ
  /// has brought is looked at only after its completion, which nothing overtakes.
  private var isRelaxed: Bool { key == PoolLayout.blocksKey }

  /// Whether the bytes from `address` on are this region's.
  func contains(_ address: UInt, _ length: Int) -> Bool {
    self.address <= address && address + UInt(length) <= self.address + UInt(self.length)
  }

  /// What binds a window to a part of the region.
  func binding(
    of window: MemoryWindow, to extent: RegionExtent, on port: RDMAHardware.Port
  ) -> MemoryWindow.Change? {
    device(of: port).map {
      .bind(window, to: $0.memory, offset: extent.offset, length: extent.length)
    }
  }

  func localKey(on port: RDMAHardware.Port) -> UInt32 { device(of: port)?.memory.localKey ?? 0 }

  func remoteKey(on port: RDMAHardware.Port) -> UInt32 { device(of: port)?.memory.remoteKey ?? 0 }

  private func device(of port: RDMAHardware.Port) -> OneDevice? {
    devices.withLock { $0.first { $0.device === port.device } }
  }

  /// How much is pinned, and how long that took.
  var summary: String {
    let devices = devices.withLock(\.count)
    let pinning = pinningTime.withLock { $0 }
    return "\(ByteCount(length)) of region \(key) pinned for \(devices) "
      + "\(devices == 1 ? "device" : "devices") in \(pinning.wholeMilliseconds) ms, made present "
      + "in \(populationTime.wholeMilliseconds) ms"
  }
}
