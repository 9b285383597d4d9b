import Glibc
import KVCore
import Platform
import Testing

@Suite("Descriptors that come with messages", .timeLimit(.minutes(1)))
struct DescriptorPassingTests {
  /// The kernel fits two into the room for one, and cuts the rest off.
  @Test(
    "At most one descriptor of a message is handed out, and none of the others stays open",
    arguments: [0, 1, 2, 3, 16])
  func severalDescriptors(count: Int) throws {
    let name = "@baton-test-" + Hexadecimal.string(UInt64.random(in: 0...UInt64.max))
    let listener = try UnixListener(name: name, backlog: 1)
    let client = try UnixSocket.connect(to: name, timeoutMilliseconds: 10_000)
    let server = try listener.accept()

    var ends: [CInt] = [-1, -1]
    let kind = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    let isMade = unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0
    try #require(isMade)
    let kept = FileDescriptor(owning: ends[0])
    let isSent = send([UInt8](repeating: 7, count: 5), count, of: ends[1], over: client)
    #expect(isSent)
    close(ends[1])

    var buffer = [UInt8](repeating: 0, count: 8)
    do throws(BatonError) {
      var received = try server.receive(into: &buffer)
      #expect(received.count == 5)
      let isThere = received.takeDescriptor() != nil
      #expect(isThere == (count > 0))
      #expect(count <= 2)
    } catch {
      #expect(error.code == .protocolViolation)
      #expect(count > 2)
    }
    // The one end hangs up once the last descriptor of the other is closed, whoever had it.
    var polled = pollfd(fd: kept.rawValue, events: 0, revents: 0)
    #expect(unsafe poll(&polled, 1, 30_000) == 1)
    #expect(Int32(polled.revents) & POLLHUP != 0)
  }

  /// Sends `message` with `count` copies of `descriptor` in one SCM_RIGHTS (cmsg(3), unix(7)).
  private func send(
    _ message: [UInt8], _ count: Int, of descriptor: CInt, over socket: borrowing UnixSocket
  ) -> Bool {
    let headerBytes = MemoryLayout<Int>.size + 2 * MemoryLayout<CInt>.size
    let used = headerBytes + count * MemoryLayout<CInt>.size
    var control = [UInt8](repeating: 0, count: (used + 7) / 8 * 8)
    unsafe control.withUnsafeMutableBytes { bytes in
      unsafe bytes.storeBytes(of: used, as: Int.self)
      unsafe bytes.storeBytes(of: SOL_SOCKET, toByteOffset: 8, as: CInt.self)
      unsafe bytes.storeBytes(of: CInt(SCM_RIGHTS), toByteOffset: 12, as: CInt.self)
      for index in 0..<count {
        unsafe bytes.storeBytes(
          of: descriptor, toByteOffset: headerBytes + index * 4, as: CInt.self)
      }
    }
    var message = message
    let socket = socket.descriptor.rawValue
    return unsafe message.withUnsafeMutableBytes { bytes in
      unsafe control.withUnsafeMutableBytes { control in
        var piece = unsafe iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
        return unsafe withUnsafeMutablePointer(to: &piece) { piece in
          var header = unsafe msghdr()
          unsafe header.msg_iov = piece
          unsafe header.msg_iovlen = 1
          if count > 0 {
            unsafe header.msg_control = control.baseAddress
            unsafe header.msg_controllen = control.count
          }
          return unsafe sendmsg(socket, &header, 0) == bytes.count
        }
      }
    }
  }
}
