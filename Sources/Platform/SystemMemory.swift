import CLinux
import Glibc
package import KVCore

/// What this machine says about its pages.
package enum SystemMemory {
  /// The base page: sysconf(3) `_SC_PAGESIZE`.
  package static let pageBytes = ByteCount(sysconf(CInt(_SC_PAGESIZE)))

  /// The huge page that pools use where they can.
  package static let hugePageBytes = ByteCount.mebibytes(2)

  /// What new work can take without swapping (proc_meminfo(5), `MemAvailable`), or less where the
  /// process's control groups allow less (cgroup v2, `memory.max` and `memory.current`); the
  /// largest count there is where neither can be read.
  package static func availableBytes() -> ByteCount {
    var available = Int.max
    let lines = SystemFile.text("/proc/meminfo")?.split(separator: "\n") ?? []
    let line = lines.first { $0.hasPrefix("MemAvailable:") }
    if let kibibytes = line?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) {
      available = kibibytes << 10
    }
    let groups = SystemFile.text("/proc/self/cgroup") ?? ""
    for group in controlGroups(in: groups) {
      let folder = "/sys/fs/cgroup\(group)"
      guard let most = SystemFile.line(folder + "/memory.max").flatMap({ Int($0) }),
        let used = SystemFile.line(folder + "/memory.current").flatMap({ Int($0) })
      else { continue }
      available = min(available, max(0, most - used))
    }
    return ByteCount(available)
  }

  /// The process's control group of cgroup v2 and all groups around it, from the text of
  /// /proc/self/cgroup (cgroups(7)): each of them may have a limit.
  package static func controlGroups(in text: String) -> [String] {
    guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("0::/") })
    else { return [] }
    var groups = [""]
    for name in line.dropFirst("0::".count).split(separator: "/") {
      groups.append(groups[groups.count - 1] + "/" + name)
    }
    return groups
  }

  /// From now on all shared memory of this process is made and mapped on base pages, for example to
  /// see what huge ones are worth.
  ///
  /// Throws what prctl(2) says.
  package static func useBasePagesOnly() throws(BatonError) {
    _ = try check(clinux_forbid_huge(), "prctl PR_SET_THP_DISABLE", "this process")
  }

  static var usesBasePagesOnly: Bool { clinux_is_huge_forbidden() > 0 }

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
  /// Microseconds of a clock that all processes of the node share and nobody sets:
  /// clock_gettime(2) `CLOCK_MONOTONIC`.
  package static func monotonicMicroseconds() -> UInt64 {
    var time = timespec()
    // It fails for no clock that Linux has.
    _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1_000
  }

  /// The id of this start of the kernel (random(4)), empty where it cannot be read.
  package static func bootID() -> String {
    SystemFile.line("/proc/sys/kernel/random/boot_id") ?? ""
  }
}
