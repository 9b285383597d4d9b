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
}
