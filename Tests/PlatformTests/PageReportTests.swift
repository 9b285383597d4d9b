import KVCore
import Platform
import Testing

@Suite("Page report")
struct PageReportTests {
  private static let smaps = """
    7f0000000000-7f0000400000 rw-s 00000000 00:01 7 /memfd:baton-kv-pool (deleted)
    Size:               4096 kB
    KernelPageSize:        4 kB
    ShmemPmdMapped:     2048 kB
    VmFlags: rd wr sh
    7f0000400000-7f0000800000 rw-s 00000000 00:01 8 /memfd:other (deleted)
    ShmemPmdMapped:     4096 kB
    7f0000800000-7f0000c00000 rw-s 00000000 00:0f 9 /memfd:baton-kv-pool (deleted)
    KernelPageSize:     2048 kB
    ShmemPmdMapped:        0 kB
    00400000-00401000 r--p 00000000 00:01 9 /bin/baton
    ShmemPmdMapped:        0 kB
    """

  @Test(
    "Pages are read from the mapping that starts at the address, and from no other",
    arguments: [
      (0x7f00_0000_0000, PageReport.Kind.transparentHuge, 2),
      (0x7f00_0040_0000, .transparentHuge, 4),
      (0x7f00_0080_0000, .hugetlb, 4), (0x40_0000, .base, 0), (0x7f00_0000_1000, .base, 0),
    ] as [(UInt, PageReport.Kind, Int)])
  func findsTheMapping(address: UInt, kind: PageReport.Kind, hugeMebibytes: Int) {
    let report = PageReport(address: address, total: .mebibytes(4), smaps: Self.smaps)
    #expect(report.kind == kind)
    #expect(report.huge == .mebibytes(hugeMebibytes))
  }

  @Test("The description says how much of the memory is huge")
  func description() {
    let report = PageReport(kind: .transparentHuge, huge: .mebibytes(62), total: .mebibytes(64))
    #expect(report.description == "62 MiB of 64 MiB on 2 MiB pages (shmem THP)")
    let base = PageReport(kind: .base, huge: .zero, total: .mebibytes(1))
    #expect(base.description == "1 MiB on base pages")
  }

  private static let none = HugePageSettings(reserved: .init(total: 0, free: 0), shmem: "never")
  private static let used = HugePageSettings(reserved: .init(total: 40, free: 10), shmem: "advise")
  private static let unknown = HugePageSettings(reserved: nil, shmem: nil)

  @Test(
    "What to set is said where something is to be gained, and nowhere else",
    arguments: [
      (
        PageReport.Kind.base, 0, 64, none,
        "sysctl vm.nr_hugepages=32 or "
          + "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled"
      ),
      (.transparentHuge, 62, 64, used, "sysctl vm.nr_hugepages=62"),
      (.base, 0, 64, unknown, nil),
      (.transparentHuge, 64, 64, none, nil), (.hugetlb, 64, 64, none, nil),
      // Less than a huge page.
      (.base, 0, 1, none, nil),
    ] as [(PageReport.Kind, Int, Int, HugePageSettings, String?)])
  func advice(
    kind: PageReport.Kind, huge: Int, total: Int, system: HugePageSettings, text: String?
  ) {
    let report = PageReport(kind: kind, huge: .mebibytes(huge), total: .mebibytes(total))
    #expect(report.advice(on: system) == text)
  }

  @Test("The chosen word is the one in brackets")
  func chosenWord() {
    let line = "always within_size advise [never] deny force"
    #expect(HugePageSettings.chosen(in: line) == "never")
    #expect(HugePageSettings.chosen(in: "0") == nil)
  }
}
