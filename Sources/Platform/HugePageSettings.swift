/// What the system is set to give of huge pages of 2 MiB.
package struct HugePageSettings: Hashable, Sendable {
  /// How many pages are reserved, and how many of them nobody uses
  /// (Documentation/admin-guide/mm/hugetlbpage.rst); nil where the kernel has none.
  package let reserved: Reserved?
  /// The word that is chosen in `shmemPath` (Documentation/admin-guide/mm/transhuge.rst): `never`
  /// and `deny` give shared memory no huge pages when it is first touched; nil where it cannot be
  /// read.
  package let shmem: String?

  package struct Reserved: Hashable, Sendable {
    package let total: Int
    package let free: Int

    package init(total: Int, free: Int) {
      self.total = total
      self.free = free
    }
  }

  package static let shmemPath = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

  package init(reserved: Reserved?, shmem: String?) {
    self.reserved = reserved
    self.shmem = shmem
  }

  /// As they are now.
  package static func current() -> HugePageSettings {
    let folder = "/sys/kernel/mm/hugepages/hugepages-2048kB"
    let total = SystemFile.line(folder + "/nr_hugepages").flatMap { Int($0) }
    return HugePageSettings(
      reserved: total.map { Reserved(total: $0, free: SystemMemory.freeHugePages()) },
      shmem: SystemFile.line(shmemPath).flatMap(chosen(in:)))
  }

  /// The word in brackets of a line like `always within_size advise [never] deny force`.
  package static func chosen(in line: String) -> String? {
    line.split(separator: " ").first { $0.hasPrefix("[") && $0.hasSuffix("]") }
      .map { String($0.dropFirst().dropLast()) }
  }
}
