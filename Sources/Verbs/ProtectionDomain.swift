import CVerbs
import Glibc
package import KVCore
import Platform

/// What may be used together: ibv_alloc_pd(3), and ibv_dealloc_pd(3) at the end. A class, because
/// regions and queue pairs keep it.
@safe
package final class ProtectionDomain: @unchecked Sendable {
  // SAFETY: @unchecked holds because the pointer never changes and verbs can be called from any
  // thread.

  package let device: DeviceContext
  let domain: UnsafeMutablePointer<ibv_pd>

  package init(device: DeviceContext) throws(BatonError) {
    guard let domain = unsafe ibv_alloc_pd(device.context) else {
      throw BatonError(verb: "ibv_alloc_pd", subject: device.name, errno: errno)
    }
    self.device = device
    unsafe self.domain = domain
  }

  deinit { _ = unsafe ibv_dealloc_pd(domain) }
}

/// Memory that a device may use: ibv_reg_mr(3), and ibv_dereg_mr(3) at the end. Whoever has it
/// keeps the memory mapped.
@safe
package struct RegisteredMemory: ~Copyable, @unchecked Sendable {
  // SAFETY: @unchecked holds because the pointer never changes.

  package enum Use: Sendable {
    /// Peers read it, by its remote key or, where the device can, by those of windows.
    case readByPeers
    /// READs write it.
    case targetOfReads
  }

  package let address: UInt
  package let length: Int
  /// In work requests of this side.
  package let localKey: UInt32
  /// In work requests of peers.
  package let remoteKey: UInt32
  private let domain: ProtectionDomain
  let region: UnsafeMutablePointer<ibv_mr>

  /// Pins the memory, which takes time for much of it.
  ///
  /// - Parameter isRelaxed: lets the device write out of order, which is faster on some hosts and
  ///   wrong where a reader looks at one place to know that another is written.
  ///
  /// Throws `incompatible` for more than the device takes as one region; `resourceExhausted` where
  /// the system lets the process pin no more memory, saying what to set; `deviceError` for what
  /// else the device refuses.
  package init(
    _ domain: ProtectionDomain, address: UInt, length: Int, use: Use, isRelaxed: Bool = false
  ) throws(BatonError) {
    guard let start = unsafe UnsafeMutableRawPointer(bitPattern: address) else {
      throw BatonError(.invalidArgument, "a region at address 0")
    }
    let most = domain.device.limits.regionBytes
    guard UInt64(length) <= most else {
      throw BatonError(
        .incompatible,
        "\(ByteCount(length)) are more than \(domain.device.name) takes as one region, "
          + "\(ByteCount(Int(clamping: most))); a smaller pool or another transport is right")
    }
    guard
      let region = unsafe cverbs_register(
        domain.domain, start, length, use == .readByPeers ? 1 : 0,
        use == .readByPeers && domain.device.limits.hasWindows ? 1 : 0,
        use == .targetOfReads ? 1 : 0, isRelaxed ? 1 : 0)
    else {
      throw Self.failure(errno, length: length, device: domain.device.name)
    }
    self.domain = domain
    unsafe self.region = region
    self.address = address
    self.length = length
    localKey = unsafe region.pointee.lkey
    remoteKey = unsafe region.pointee.rkey
  }

  private static func failure(_ error: CInt, length: Int, device: String) -> BatonError {
    let size = ByteCount(length)
    guard error == ENOMEM else {
      return BatonError(verb: "ibv_reg_mr", subject: "\(size) on \(device)", errno: error)
    }
    let advice =
      LockedMemory.current().advice(for: size)
      ?? "the limit on locked memory allows it, but the kernel or the device has no room"
    return BatonError(
      .resourceExhausted, "\(size) cannot be pinned for \(device): \(advice)")
  }

  deinit { _ = unsafe ibv_dereg_mr(region) }
}
