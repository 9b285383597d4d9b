import KVCore
import Platform
import Testing

@Suite("System memory")
struct SystemMemoryTests {
  @Test(
    "The control groups are those of version 2, from the outermost on",
    arguments: [
      ("0::/\n", [""]),
      ("0::/a/b.slice\n", ["", "/a", "/a/b.slice"]),
      ("12:memory:/v1\n1:name=systemd:/x\n0::/user.slice\n", ["", "/user.slice"]),
      ("4:memory:/v1\n", []),
      ("", []),
    ])
  func controlGroups(text: String, groups: [String]) {
    #expect(SystemMemory.controlGroups(in: text) == groups)
  }

  @Test("Some memory is available, and no more than there can be")
  func available() {
    let available = SystemMemory.availableBytes()
    #expect(available.rawValue > 1 << 20 && available.rawValue < 1 << 50)
  }
}
