import KVCore
import Platform
import Testing

@Suite("The limit on locked memory")
struct LockedMemoryTests {
  private static let user = "Name:\tbaton\nVmPin:\t    2048 kB\nCapEff:\t0000000000000000\n"
  private static let privileged = "VmPin:\t       0 kB\nCapEff:\t000001ffffffffff\n"

  @Test("A limit in the way is explained with what there is and what to set")
  func advice() throws {
    let locked = LockedMemory(limit: .mebibytes(8), status: Self.user)
    #expect(locked.pinned == .mebibytes(2) && !locked.isPrivileged)
    #expect(locked.allows(.mebibytes(6)) && !locked.allows(.mebibytes(7)))
    #expect(locked.advice(for: .mebibytes(6)) == nil)
    let advice = try #require(locked.advice(for: .mebibytes(7)))
    for part in ["8 MiB", "2 MiB", "ulimit -l unlimited", "LimitMEMLOCK=infinity", "memlock=-1"] {
      #expect(advice.contains(part), "\(advice)")
    }
  }

  @Test("Who may lock everything, or has no limit, is told nothing of one")
  func unlimited() {
    let privileged = LockedMemory(limit: .zero, status: Self.privileged)
    #expect(privileged.isPrivileged && privileged.advice(for: .mebibytes(1)) == nil)
    #expect(LockedMemory(limit: nil, status: Self.user).advice(for: .mebibytes(1)) == nil)
  }

  @Test("The limit of this process can be read, and it has not pinned more than there is")
  func current() {
    let locked = LockedMemory.current()
    #expect(locked.limit.map { $0 >= .zero } ?? true)
    #expect(locked.pinned >= .zero && locked.pinned < .mebibytes(1 << 30))
  }
}
