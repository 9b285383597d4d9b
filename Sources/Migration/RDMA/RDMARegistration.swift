import ControlProtocol
import KVCore
import KVPool
import Platform
import Synchronization
import Verbs

/// The memory of one region, registered once with each device.
///
/// It is one memory region of the verbs per device, or several where a device takes no more as one:
/// sections, which are the same on all devices. A window lies in one section, a READ in one of
/// either side. What takes time for much memory is making its pages present, and that several
/// threads do before.
final class RDMARegistration: Sendable {
  /// An MR that an array can hold.
  private final class Section: Sendable {
    let memory: RegisteredMemory

    init(_ memory: consuming RegisteredMemory) { self.memory = memory }
  }

  private struct OneDevice: Sendable {
    let device: DeviceContext
    let sections: [Section]
  }

  let key: RegionKey
  let address: UInt
  let length: Int
  /// All sections are as long, but for the last.
  private let sectionBytes: Int
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
  /// - Parameter sectionBytes: as much as any device takes as one region.
  ///
  /// Throws `incompatible` for a region of too many sections, and as `RegisteredMemory.init` does.
  init(
    _ region: MemoryRegion, address: UInt, use: RegisteredMemory.Use,
    ports: [RDMAHardware.Port], sectionBytes: Int
  ) throws(BatonError) {
    key = region.key
    self.address = address
    self.use = use
    length = region.length.rawValue
    owner = region.owner
    let unit = region.unit.rawValue
    // A block that is longer than any section is the device's to refuse.
    self.sectionBytes = min(length, max(unit, sectionBytes / unit * unit))
    // Who may read all of it is told all of them.
    let most = RDMAWindow.maximumPerTicket
    guard (length - 1) / self.sectionBytes < most else {
      throw BatonError(
        .incompatible,
        "\(region.length) are more than \(most) regions of \(ByteCount(self.sectionBytes)), the "
          + "longest that this machine's RDMA devices take; a smaller pool or another transport "
          + "is right")
    }
    let start = ContinuousClock.now
    // Memory that this process cannot touch, a GPU's, the device may still know how to pin; and
    // what is in the way else, pinning says.
    try? SystemMemory.populate(
      address: address, length: region.length, isWritable: use == .targetOfReads)
    populationTime = ContinuousClock.now - start
    try cover(ports)
  }

  /// Pins the memory for the devices of `ports` that have it not yet, all sections and devices side
  /// by side. Blocks, for long where it is much. For one thread at a time.
  ///
  /// Throws as `RegisteredMemory.init` does; devices that took all of the memory keep it.
  func cover(_ ports: [RDMAHardware.Port]) throws(BatonError) {
    let known = devices.withLock { $0.map(\.device) }
    var domains: [ProtectionDomain] = []
    for port in ports
    where !known.contains(where: { $0 === port.device })
      && !domains.contains(where: { $0.device === port.device })
    {
      domains.append(port.domain)
    }
    guard !domains.isEmpty else { return }
    let (new, sections) = (domains, Array(sections))
    let start = ContinuousClock.now
    let made = Mutex<[Section?]>(Array(repeating: nil, count: new.count * sections.count))
    defer {
      made.withLock { made in
        for (place, domain) in new.enumerated() {
          let own = made[place * sections.count..<(place + 1) * sections.count].compactMap { $0 }
          guard own.count == sections.count else { continue }
          devices.withLock { $0.append(OneDevice(device: domain.device, sections: own)) }
        }
      }
      let took = ContinuousClock.now - start
      pinningTime.withLock { $0 += took }
    }
    let all = new.count * sections.count
    let threads = min(all, MigrationLimits.pinningThreads)
    try PlatformThread.inParallel(threads, name: "rdma-pin") { thread throws(BatonError) in
      for place in stride(from: thread, to: all, by: threads) {
        let bytes = sections[place % sections.count]
        let section = Section(
          try RegisteredMemory(
            new[place / sections.count], address: self.address + UInt(bytes.lowerBound),
            length: bytes.count, use: self.use, isRelaxed: self.isRelaxed))
        made.withLock { $0[place] = section }
      }
    }
  }

  /// Where each section lies, from the region's first byte.
  private var sections: some Sequence<Range<Int>> {
    stride(from: 0, to: length, by: sectionBytes).lazy.map { [length, sectionBytes] start in
      start..<min(length, start + sectionBytes)
    }
  }

  /// Whether devices may write the memory out of order. The blocks of a pool have no stamps, by
  /// which readers would know what else is there: those lie in a region of their own. What a READ
  /// has brought is looked at only after its completion, which nothing overtakes.
  private var isRelaxed: Bool { key == PoolLayout.blocksKey }

  /// The parts of an extent that lie in one section each.
  func parts(of extent: RegionExtent) -> [RegionExtent] {
    sections.map { $0.clamped(to: extent.offset..<extent.end) }.filter { !$0.isEmpty }
      .map { RegionExtent(region: extent.region, offset: $0.lowerBound, length: $0.count) }
  }

  /// What binds a window to a part of a section.
  func binding(
    of window: MemoryWindow, to part: RegionExtent, on port: RDMAHardware.Port
  ) -> MemoryWindow.Change? {
    device(of: port).map {
      .bind(
        window, to: $0.sections[part.offset / sectionBytes].memory,
        offset: part.offset % sectionBytes, length: part.length)
    }
  }

  /// What a peer needs to READ each section over lanes on these ports.
  func windows(on ports: [RDMAHardware.Port]) -> [RDMAWindow] {
    let devices = ports.map(device)
    return sections.enumerated().map { place, bytes in
      RDMAWindow(
        region: key, offset: ByteCount(bytes.lowerBound), length: ByteCount(bytes.count),
        remoteKeys: devices.map { $0?.sections[place].memory.remoteKey ?? 0 })
    }
  }

  /// What READs over lanes on these ports need to write each section.
  func targets(on ports: [RDMAHardware.Port]) -> [RDMASources.Target] {
    let devices = ports.map(device)
    return sections.enumerated().map { place, bytes in
      RDMASources.Target(
        address: address + UInt(bytes.lowerBound), length: bytes.count,
        localKeys: devices.map { $0?.sections[place].memory.localKey ?? 0 }, registration: self)
    }
  }

  private func device(of port: RDMAHardware.Port) -> OneDevice? {
    devices.withLock { $0.first { $0.device === port.device } }
  }

  /// How much is pinned, and how long that took.
  var summary: String {
    let devices = devices.withLock(\.count)
    let pinning = pinningTime.withLock { $0 }
    let parts = sectionBytes < length ? " as regions of \(ByteCount(sectionBytes))" : ""
    return "\(ByteCount(length)) of region \(key) pinned for \(devices) "
      + "\(devices == 1 ? "device" : "devices")\(parts) in \(pinning.wholeMilliseconds) ms, made "
      + "present in \(populationTime.wholeMilliseconds) ms"
  }
}
