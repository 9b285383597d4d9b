package import KVCore

/// On what pages a mapping really lies, as the kernel counts them.
package struct PageReport: Hashable, Sendable, CustomStringConvertible {
  package enum Kind: String, Sendable {
    case base = "base pages"
    case transparentHuge = "2 MiB pages (shmem THP)"
    case hugetlb = "2 MiB pages (hugetlb)"
  }

  package let kind: Kind
  /// The part that lies on huge pages.
  package let huge: ByteCount
  package let total: ByteCount

  package init(kind: Kind, huge: ByteCount, total: ByteCount) {
    self.kind = kind
    self.huge = huge
    self.total = total
  }

  /// One word: `4k`, `huge`, or `mixed` where a part is not huge.
  package var name: String { kind == .base ? "4k" : huge < total ? "mixed" : "huge" }

  package var description: String {
    kind == .base ? "\(total) on \(kind.rawValue)" : "\(huge) of \(total) on \(kind.rawValue)"
  }

  /// What an administrator could set so that all of this memory lies on huge pages after the next
  /// start; nil where nothing is to be gained.
  ///
  /// Reserved pages (hugetlb) are named as the number that must be reserved in all: those that
  /// others have taken, and this memory's.
  package func advice(on system: HugePageSettings) -> String? {
    guard kind != .hugetlb, huge < total, total >= SystemMemory.hugePageBytes else { return nil }
    var choices: [String] = []
    if let reserved = system.reserved {
      let wanted =
        SystemMemory.roundUp(total, to: SystemMemory.hugePageBytes).rawValue
        / SystemMemory.hugePageBytes.rawValue
      choices.append("sysctl vm.nr_hugepages=\(reserved.total - reserved.free + wanted)")
    }
    if let shmem = system.shmem, ["never", "deny"].contains(shmem) {
      choices.append("echo advise > \(HugePageSettings.shmemPath)")
    }
    return choices.isEmpty ? nil : choices.joined(separator: " or ")
  }

  /// The pages of the mapping of `total` bytes that starts at `address`, from the text of
  /// /proc/self/smaps (proc(5)); base pages where the text does not have it.
  package init(address: UInt, total: ByteCount, smaps: String) {
    let start = String(address, radix: 16) + "-"
    var isInside = false
    var kilobytes: [Substring: Int] = [:]
    for line in smaps.split(separator: "\n") {
      let words = line.split(separator: " ", omittingEmptySubsequences: true)
      guard let name = words.first else { continue }
      if !name.hasSuffix(":") {
        if isInside { break }
        // Addresses have at least eight digits, filled up with zeros.
        isInside = name.drop { $0 == "0" }.hasPrefix(start)
      } else if isInside, words.count > 1 {
        kilobytes[name] = Int(words[1])
      }
    }
    if kilobytes["KernelPageSize:"] == SystemMemory.hugePageBytes.rawValue >> 10 {
      self.init(kind: .hugetlb, huge: total, total: total)
    } else {
      let huge = ByteCount.kibibytes(kilobytes["ShmemPmdMapped:"] ?? 0)
      self.init(kind: huge == .zero ? .base : .transparentHuge, huge: huge, total: total)
    }
  }
}
