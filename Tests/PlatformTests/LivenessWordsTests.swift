import KVCore
import Platform
import Synchronization
import Testing

@Suite("Liveness words", .timeLimit(.minutes(1)))
struct LivenessWordsTests {
  /// A second descriptor of a file, as a peer gets it.
  private func passed(_ file: SharedMemoryFile) throws -> FileDescriptor {
    let name = "@baton-test-" + Hexadecimal.string(UInt64.random(in: 0...UInt64.max))
    let listener = try UnixListener(name: name, backlog: 1)
    let client = try UnixSocket.connect(to: name, timeoutMilliseconds: 10_000)
    let server = try listener.accept()
    try server.send([1], passing: file)
    var buffer = [UInt8](repeating: 0, count: 1)
    var received = try client.receive(into: &buffer)
    guard let descriptor = received.takeDescriptor() else {
      throw BatonError(.internalError, "no descriptor came")
    }
    return descriptor
  }

  private func peerWord(_ words: LivenessWords, _ word: Int) throws -> PeerLivenessWord {
    try PeerLivenessWord(received: passed(words.file), word: word, peer: try EngineID("peer"))
  }

  /// Holds the words on a thread until `end` is called, and how that thread ends.
  private final class Holder: Sendable {
    let words: LivenessWords
    private let isHeld = WakeWord()
    private let mayEnd = WakeWord()
    private let failure = Mutex<BatonError?>(nil)
    private let thread = Mutex<PlatformThread?>(nil)

    init(letsGo: Bool) throws {
      words = try LivenessWords()
      let thread = try PlatformThread.start(name: "holder") { [self] in
        do throws(BatonError) { try words.hold() } catch { failure.withLock { $0 = error } }
        isHeld.advance()
        while mayEnd.value == 0 { _ = mayEnd.wait(while: 0) }
        if letsGo { words.letGo() }
      }
      self.thread.withLock { $0 = thread }
      while isHeld.value == 0 { _ = isHeld.wait(while: 0) }
      try failure.withLock { if let error = $0 { throw error } }
    }

    func end() {
      mayEnd.advance()
      thread.withLock { $0 }?.join()
    }
  }

  @Test(
    "A thread that waits for a word goes on when the holder's thread ends or lets go",
    arguments: [true, false], [0, 1, LivenessWords.count - 1])
  func holderEnds(letsGo: Bool, word: Int) throws {
    let holder = try Holder(letsGo: letsGo)
    let peer = try peerWord(holder.words, word)
    let others = try (0..<4).map { try peerWord(holder.words, 10 + $0) }
    #expect(!peer.isLost)
    let waits = WakeWord()
    let never = WakeWord()
    let waiter = try PlatformThread.start(name: "waiter") {
      waits.advance()
      while !peer.isLost { _ = never.wait(while: 0, and: [peer]) }
    }
    while waits.value == 0 { _ = waits.wait(while: 0) }
    holder.end()
    // Ends only if the kernel has woken it: nobody moves `never`.
    waiter.join()
    #expect(others.allSatisfy { $0.isLost })
    // Who comes late is told at once.
    let late = #expect(throws: BatonError.self) { try peerWord(holder.words, word) }
    #expect(late?.code == .peerGone)
  }

  @Test("A wake word ends a wait for peers that live")
  func wakeWord() throws {
    let holder = try Holder(letsGo: true)
    let peers = try (0..<WakeWord.maximumPeers).map { try peerWord(holder.words, $0) }
    let word = WakeWord()
    let waiter = try PlatformThread.start(name: "waiter") {
      while word.value == 0 { _ = word.wait(while: 0, and: peers) }
    }
    word.advance()
    waiter.join()
    #expect(peers.allSatisfy { !$0.isLost })
    #expect(word.wait(while: 0, and: peers) == .look)
    holder.end()
  }

  @Test("Words that nobody holds, and memory that is not as it should be, are refused")
  func refusals() throws {
    let peer = try EngineID("peer")
    let unheld = try LivenessWords()
    let gone = #expect(throws: BatonError.self) { try peerWord(unheld, 0) }
    #expect(gone?.code == .peerGone)
    let page = SystemMemory.pageBytes
    let cases: [(ByteCount, SharedMemoryFile.Seals, Int)] = [
      (page, [], 0), (page, [.grow, .futureWrite], 0), (page, .readOnlyForPeers, -1),
      (page, .readOnlyForPeers, page.rawValue / 8), (page, .readOnlyForPeers, .max / 16),
      (.mebibytes(1), .readOnlyForPeers, 0),
    ]
    for (length, seals, word) in cases {
      let file = try SharedMemoryFile.create(name: "test", length: length)
      try file.add(seals)
      let error = #expect(throws: BatonError.self) {
        _ = try PeerLivenessWord(received: passed(file), word: word, peer: peer)
      }
      #expect(error?.code == .incompatible, "\(length), \(seals), word \(word)")
    }
  }

  @Test("A peer cannot map the words writable")
  func readOnly() throws {
    let holder = try Holder(letsGo: true)
    let file = try SharedMemoryFile(received: passed(holder.words.file), name: "test")
    #expect(throws: BatonError.self) {
      _ = try SharedMapping(of: file, access: .readWrite).length
    }
    holder.end()
  }
}
