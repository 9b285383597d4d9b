import Glibc
package import KVCore

/// What this machine says about its pages.
package enum SystemMemory {
  /// The base page: sysconf(3) `_SC_PAGESIZE`.
  package static let pageBytes = ByteCount(sysconf(CInt(_SC_PAGESIZE)))

  /// The huge page that pools use where they can.
  package static let hugePageBytes = ByteCount.mebibytes(2)

  /// What new work can take without swapping (proc_meminfo(5), `MemAvailable`), or less where the
  /// process's control group allows less (cgroup v2, `memory.max` and `memory.current`); the
  /// largest count there is where neither can be read.
  package static func availableBytes() -> ByteCount {
    var available = Int.max
    let lines = SystemFile.text("/proc/meminfo")?.split(separator: "\n") ?? []
    let line = lines.first { $0.hasPrefix("MemAvailable:") }
    if let kibibytes = line?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) {
      available = kibibytes << 10
    }
    if let group = SystemFile.line("/proc/self/cgroup")?.split(separator: ":").last,
      let most = SystemFile.line("/sys/fs/cgroup\(group)/memory.max").flatMap({ Int($0) }),
      let used = SystemFile.line("/sys/fs/cgroup\(group)/memory.current").flatMap({ Int($0) })
    {
      available = min(available, max(0, most - used))
    }
    return ByteCount(available)
  }

  /// Reserved huge pages that nobody uses (Documentation/admin-guide/mm/hugetlbpage.rst); 0 where
  /// the kernel has none.
  package static func freeHugePages() -> Int {
    let path = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
    return SystemFile.line(path).flatMap { Int($0) } ?? 0
  }

  /// `length` rounded up to whole units of `unit` bytes.
  package static func roundUp(_ length: ByteCount, to unit: ByteCount) -> ByteCount {
    ByteCount((length.rawValue + unit.rawValue - 1) / unit.rawValue * unit.rawValue)
  }
}

/// What this node says about itself.
package enum Node {
  /// The id of this start of the kernel (random(4)), empty where it cannot be read.
  package static func bootID() -> String {
    SystemFile.line("/proc/sys/kernel/random/boot_id") ?? ""
  }
}
