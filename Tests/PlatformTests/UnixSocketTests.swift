import KVCore
import Platform
import Testing

@Suite("Unix sockets", .timeLimit(.minutes(1)))
struct UnixSocketTests {
  private static func randomName() -> String {
    "@baton-test-" + Hexadecimal.string(UInt64.random(in: 0...UInt64.max))
  }

  @Test("A descriptor that is sent with a message opens the same memory")
  func passesDescriptors() throws {
    let listener = try UnixListener(name: Self.randomName(), backlog: 1)
    let client = try UnixSocket.connect(to: listener.name, timeoutMilliseconds: 10_000)
    let server = try listener.accept()
    let file = try SharedMemoryFile.create(name: "test", length: .kibibytes(4))
    let owner = try SharedMapping(of: file, access: .readWrite)
    unsafe owner.base.storeBytes(of: 0xBA70, as: UInt64.self)

    try server.send([1, 2, 3], passing: file)
    var buffer = [UInt8](repeating: 0, count: 8)
    var received = try client.receive(into: &buffer)
    #expect(received.count == 3)
    #expect(buffer[..<3] == [1, 2, 3])
    guard let passed = received.takeDescriptor() else {
      Issue.record("no descriptor came")
      return
    }
    if received.takeDescriptor() != nil { Issue.record("the descriptor came twice") }
    let copy = try SharedMemoryFile(received: passed, name: "copy")
    let mapping = try SharedMapping(of: copy, access: .readOnly)
    let seen = unsafe mapping.base.load(as: UInt64.self)
    #expect(seen == 0xBA70)
  }

  @Test("A message is received as it was sent, a longer one than expected is an error")
  func messagesKeepTheirBounds() throws {
    let listener = try UnixListener(name: Self.randomName(), backlog: 1)
    let client = try UnixSocket.connect(to: listener.name, timeoutMilliseconds: 10_000)
    let server = try listener.accept()
    try client.send([1])
    try client.send([2, 3])
    try client.send([4, 5, 6])
    var buffer = [UInt8](repeating: 0, count: 2)
    let first = try server.receive(into: &buffer).count
    let second = try server.receive(into: &buffer).count
    #expect(first == 1)
    #expect(second == 2)
    #expect(buffer == [2, 3])
    #expect(throws: BatonError.self) { _ = try server.receive(into: &buffer).count }
  }

  @Test("The kernel vouches for the process at the other end")
  func credentials() throws {
    let listener = try UnixListener(name: Self.randomName(), backlog: 1)
    let client = try UnixSocket.connect(to: listener.name, timeoutMilliseconds: 10_000)
    let seen = try client.peerCredentials()
    #expect(seen.isTrusted)
    #expect(seen.processID > 0)
    #expect(UnixSocket.Credentials(processID: 1, userID: 0).isTrusted)
    #expect(!UnixSocket.Credentials(processID: 1, userID: seen.userID &+ 4_242).isTrusted)
  }

  @Test("Nobody listening, and nobody answering in time, are different errors")
  func failures() throws {
    let nobody = #expect(throws: BatonError.self) {
      _ = try UnixSocket.connect(to: Self.randomName(), timeoutMilliseconds: 1_000)
        .descriptor.rawValue
    }
    #expect(nobody?.code == .peerGone)
    let listener = try UnixListener(name: Self.randomName(), backlog: 1)
    let client = try UnixSocket.connect(to: listener.name, timeoutMilliseconds: 10)
    let silent = #expect(throws: BatonError.self) {
      var buffer = [UInt8](repeating: 0, count: 1)
      _ = try client.receive(into: &buffer).count
    }
    #expect(silent?.code == .deadlineExceeded)
  }

  @Test("A name that does not fit a socket address is refused", arguments: ["", "long"])
  func badNames(name: String) {
    let name = name.isEmpty ? name : String(repeating: "x", count: 108)
    #expect(throws: BatonError.self) { _ = try UnixListener(name: name, backlog: 1).name }
  }
}
