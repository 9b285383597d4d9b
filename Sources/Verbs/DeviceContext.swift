import CVerbs
package import KVCore
import Platform

/// An open RDMA device: ibv_open_device(3), and ibv_close_device(3) at the end.
///
/// A class, because everything that is made of a device keeps it open: the verbs ask for that.
@safe
package final class DeviceContext: @unchecked Sendable {
  // SAFETY: @unchecked holds because the pointer never changes, and verbs can be called from any
  // thread (ibv_open_device(3), and the library's own locks).

  package let name: String
  package let limits: Limits
  let context: UnsafeMutablePointer<ibv_context>

  /// What a device can do at most (ibv_query_device(3)).
  package struct Limits: Hashable, Sendable {
    /// Of one registration.
    package let regionBytes: UInt64
    /// Of one completion queue.
    package let completions: Int
    /// Of one queue pair.
    package let requests: Int
    /// READs of one queue pair on their way at once: asked for, and answered.
    package let outgoingReads: Int
    package let incomingReads: Int
    /// Whether memory windows of type 2B can be bound.
    package let hasWindows: Bool

    package init(
      regionBytes: UInt64, completions: Int, requests: Int, outgoingReads: Int,
      incomingReads: Int, hasWindows: Bool
    ) {
      self.regionBytes = regionBytes
      self.completions = completions
      self.requests = requests
      self.outgoingReads = outgoingReads
      self.incomingReads = incomingReads
      self.hasWindows = hasWindows
    }
  }

  /// One port of a device.
  package struct Port: Hashable, Sendable {
    /// From 1.
    package let number: UInt8
    package let isActive: Bool
    /// RoCE: reached by GID; otherwise InfiniBand, reached by LID on one subnet.
    package let isEthernet: Bool
    package let lid: UInt16
    /// Of a packet's payload at most.
    package let mtu: ByteCount
    package let gids: [GID]

    package init(
      number: UInt8, isActive: Bool, isEthernet: Bool, lid: UInt16, mtu: ByteCount, gids: [GID]
    ) {
      self.number = number
      self.isActive = isActive
      self.isEthernet = isEthernet
      self.lid = lid
      self.mtu = mtu
      self.gids = gids
    }
  }

  /// The names of all devices; none where the kernel has no RDMA.
  package static func deviceNames() -> [String] {
    withDevices { devices in devices.compactMap { name(of: $0) } }
  }

  /// Throws `deviceError` if there is no device of that name or it cannot be opened.
  package init(opening wanted: String) throws(BatonError) {
    let opened = unsafe Self.withDevices { devices -> UnsafeMutablePointer<ibv_context>? in
      guard let device = devices.first(where: { Self.name(of: $0) == wanted }) else { return nil }
      return unsafe ibv_open_device(device.pointer)
    }
    guard let opened = unsafe opened else {
      throw BatonError(
        .deviceError,
        "RDMA device \(wanted) is not there or cannot be opened; is it readable in "
          + "/dev/infiniband?")
    }
    var found = cverbs_limits()
    do throws(BatonError) {
      try check(unsafe cverbs_query_limits(opened, &found), "ibv_query_device", wanted)
      try check(unsafe cverbs_unblock_events(opened), "fcntl", wanted)
    } catch {
      _ = unsafe ibv_close_device(opened)
      throw error
    }
    name = wanted
    unsafe context = opened
    limits = Limits(
      regionBytes: found.region_bytes, completions: Int(found.completions),
      requests: Int(found.requests), outgoingReads: Int(found.outgoing_reads),
      incomingReads: Int(found.incoming_reads), hasWindows: found.has_windows != 0)
  }

  deinit { _ = unsafe ibv_close_device(context) }

  /// All ports, as they are now; none that cannot be asked.
  package func ports() -> [Port] {
    // A device has 255 ports at most and tells how many by refusing the next.
    var ports: [Port] = []
    for number in UInt8(1)...UInt8.max {
      guard let port = port(number) else { break }
      ports.append(port)
    }
    return ports
  }

  /// A port as it is now; nil if it cannot be asked.
  package func port(_ number: UInt8) -> Port? {
    var found = cverbs_port()
    guard unsafe cverbs_query_port(context, number, &found) == 0 else { return nil }
    // A path names its GID by one byte.
    let gids = (0..<min(Int(found.gid_count), 256)).compactMap { gid(port: number, index: $0) }
    return Port(
      number: number, isActive: found.is_active != 0, isEthernet: found.is_ethernet != 0,
      lid: found.lid, mtu: ByteCount(Int(found.mtu)), gids: gids)
  }

  private func gid(port: UInt8, index: Int) -> GID? {
    var bytes = [UInt8](repeating: 0, count: GID.byteCount)
    var kind: CInt = 0
    var interface: UInt32 = 0
    guard
      unsafe cverbs_query_gid(context, port, UInt32(index), &bytes, &kind, &interface) == 0,
      bytes.contains(where: { $0 != 0 }), let kind = GID.Kind(rawValue: UInt8(kind))
    else { return nil }
    let bits = interface == 0 ? nil : Route.prefixBits(of: bytes, interface: interface)
    return GID(index: UInt8(index), bytes: bytes, kind: kind, prefixBits: bits)
  }

  // MARK: The list of devices

  @safe
  private struct Device {
    let pointer: UnsafeMutablePointer<ibv_device>
  }

  private static func withDevices<Value>(_ body: ([Device]) -> Value) -> Value {
    var count: CInt = 0
    guard let list = unsafe ibv_get_device_list(&count) else { return body([]) }
    defer { unsafe ibv_free_device_list(list) }
    let devices = (0..<Int(count)).compactMap { place in
      unsafe list[place].map { unsafe Device(pointer: $0) }
    }
    return body(devices)
  }

  private static func name(of device: Device) -> String? {
    guard let name = unsafe ibv_get_device_name(device.pointer) else { return nil }
    return unsafe String(cString: name)
  }
}
