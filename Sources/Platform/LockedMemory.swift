import Glibc
package import KVCore

/// How much memory this process may lock, which is what a device's use of it does to it.
package struct LockedMemory: Hashable, Sendable {
  /// getrlimit(2) `RLIMIT_MEMLOCK`; nil for any amount.
  package let limit: ByteCount?
  /// What is pinned for devices now: `VmPin` of proc_pid_status(5).
  package let pinned: ByteCount
  /// Whether the process has CAP_IPC_LOCK (capabilities(7)), for which there is no limit.
  package let isPrivileged: Bool

  package init(limit: ByteCount?, pinned: ByteCount, isPrivileged: Bool) {
    self.limit = limit
    self.pinned = pinned
    self.isPrivileged = isPrivileged
  }

  /// The rest from the text of /proc/self/status.
  package init(limit: ByteCount?, status: String) {
    func field(_ name: String) -> Substring? {
      let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") }
      return line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first
    }
    let capabilities = field("CapEff").flatMap { UInt64($0, radix: 16) } ?? 0
    self.init(
      limit: limit, pinned: .kibibytes(field("VmPin").flatMap { Int($0) } ?? 0),
      // CAP_IPC_LOCK is number 14 in <linux/capability.h>.
      isPrivileged: capabilities >> 14 & 1 == 1)
  }

  /// As it is for this process now.
  package static func current() -> LockedMemory {
    var limit = rlimit()
    let isKnown = unsafe getrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit) == 0
    // RLIM_INFINITY is the largest number there is.
    let isLimited = isKnown && limit.rlim_cur <= rlim_t(Int.max)
    return LockedMemory(
      limit: isLimited ? ByteCount(Int(limit.rlim_cur)) : nil,
      status: SystemFile.text("/proc/self/status") ?? "")
  }

  /// Whether so much more may be locked.
  package func allows(_ length: ByteCount) -> Bool {
    guard let limit, !isPrivileged else { return true }
    return length.rawValue <= limit.rawValue - pinned.rawValue
  }

  /// What to do about a limit that `length` more would pass; nil where it would not.
  package func advice(for length: ByteCount) -> String? {
    guard let limit, !allows(length) else { return nil }
    return
      "the process may lock \(limit) of memory and has locked \(pinned); raise the limit with "
      + "`ulimit -l unlimited` in the shell, LimitMEMLOCK=infinity in a systemd unit or "
      + "`--ulimit memlock=-1` for a container"
  }
}
