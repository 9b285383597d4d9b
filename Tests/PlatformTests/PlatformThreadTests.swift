import Foundation
import Glibc
import KVCore
import Platform
import Synchronization
import Testing

@Suite("Threads", .timeLimit(.minutes(1)))
struct PlatformThreadTests {
  @Test("A thread runs under its name, cut to what the kernel keeps, and can be joined")
  func nameAndJoin() throws {
    let name = Mutex("")
    let thread = try PlatformThread.start(name: "a-rather-long-thread-name") {
      let path = "/proc/thread-self/comm"
      let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
      name.withLock { $0 = text.trimmingCharacters(in: .newlines) }
    }
    thread.join()
    thread.join()
    #expect(name.withLock { $0 } == "a-rather-long-t")
  }

  @Test("Blocking work hands its value, or its error, to whoever awaits it")
  func run() async throws {
    let value = try await PlatformThread.run(name: "work") { 42 }
    #expect(value == 42)
    await #expect(throws: BatonError(.cancelled, "on purpose")) {
      try await PlatformThread.run(name: "work") { () throws -> Int in
        throw BatonError(.cancelled, "on purpose")
      }
    }
  }

  @Test("A signal that is set wakes a thread that polls for it")
  func signal() throws {
    let signal = try EventSignal()
    var polled = pollfd(fd: signal.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
    #expect(unsafe poll(&polled, 1, 0) == 0)
    signal.set()
    #expect(unsafe poll(&polled, 1, 0) == 1)
    #expect(unsafe poll(&polled, 1, 0) == 1)
  }

  @Test("A failed system call says what was done to what, and what kind of failure it is")
  func errors() {
    let error = BatonError(errno: ENOMEM, call: "mmap", subject: "the pool")
    #expect(error.code == .resourceExhausted)
    #expect(error.message == "mmap of the pool: Cannot allocate memory (errno 12)")
    #expect(BatonError(errno: ECONNREFUSED, call: "c", subject: "s").code == .peerGone)
    #expect(BatonError(errno: EAGAIN, call: "c", subject: "s").code == .deadlineExceeded)
    #expect(BatonError(errno: EPERM, call: "c", subject: "s").code == .internalError)
  }

  @Test("The node's boot id is a UUID")
  func bootID() {
    #expect(UUID(uuidString: Node.bootID()) != nil)
  }
}
