import ControlProtocol
import KVCore
import KVPool
import Migration
import Platform
import Synchronization
import TestSupport
import Testing

@Suite("Fetching a descriptor from a server of any kind", .timeLimit(.minutes(1)))
struct DescriptorClientTests {
  /// What a server does with the one request that it gets.
  enum Answer: CaseIterable {
    case rightMemory
    case nothing, garbage, tooLong, unknownStatus, tokenUnknown, otherEngine, noDescriptor
    case shortMemory, memoryThatCanShrink
    case rightWord, wordThatNobodyHolds, wordsThatCanShrink, wordsNotSent, otherWord

    /// The error of the one who asked; nil where the memory is mapped.
    var expectedCode: ErrorCode? {
      switch self {
      case .rightMemory, .rightWord: nil
      case .nothing, .wordThatNobodyHolds, .wordsNotSent: .peerGone
      case .garbage, .unknownStatus: .malformedFrame
      case .tooLong, .noDescriptor, .otherWord: .protocolViolation
      case .tokenUnknown, .otherEngine: .unauthenticated
      case .shortMemory, .memoryThatCanShrink, .wordsThatCanShrink: .incompatible
      }
    }
  }

  private static let token = [UInt8](1...16)
  private static let regionBytes = 2 * SystemMemory.pageBytes.rawValue

  @Test(
    "Only an answer that keeps every rule is taken; any other is an error of its own",
    arguments: Answer.allCases)
  func answers(answer: Answer) async throws {
    let prefill = try EngineID("prefill-0")
    let decode = try Side("decode-0")
    let server = try Server(engine: prefill, incarnation: .random())
    let link = LinkID.random()
    let (deaths, death) = AsyncStream<Void>.makeStream()
    try decode.backend.initialize(
      link: link, remote: prefill, remoteIncarnation: server.incarnation,
      onPeerDeath: { death.finish() })
    let endpoint = SharedMemoryEndpoint(
      socketName: server.listener.name, token: Self.token,
      regions: [RegionInfo(key: RegionKey(0), length: ByteCount(Self.regionBytes))])

    // A thread, not a task: busy tests beside this one must not keep the server from starting.
    let request = Mutex<Result<[UInt8], any Error>?>(nil)
    let thread = try PlatformThread.start(name: "server") {
      let result = Result { try server.serve(answer) }
      request.withLock { $0 = result }
    }
    var code: ErrorCode?
    do {
      try await decode.backend.connect(link: link, remote: EndpointInfo(sharedMemory: endpoint))
    } catch {
      code = BatonError(wrapping: error).code
    }
    thread.join()
    #expect(code == answer.expectedCode)
    #expect(
      try request.withLock { try $0?.get() }
        == descriptorMessage(
          status: 0, decode.engine, decode.incarnation, word: 0, token: Self.token))
    // The server lets go of the words when it has answered.
    if answer == .rightWord { for await _ in deaths {} }
    #expect(!decode.backend.watchesPeer(of: link))
    if answer == .rightMemory {
      let region = try decode.backend.remoteRegion(link: link, key: RegionKey(0))
      #expect(isFilled(region.address, with: 0, bytes: Self.regionBytes))
    }
  }

  /// Answers one request, in bytes that are written out here.
  private final class Server: Sendable {
    let listener: UnixListener
    let engine: EngineID
    let incarnation: Incarnation

    init(engine: EngineID, incarnation: Incarnation) throws(BatonError) {
      self.engine = engine
      self.incarnation = incarnation
      listener = try UnixListener(
        name: "@baton-test-" + Hexadecimal.string(UInt64.random(in: 0...UInt64.max)), backlog: 1)
    }

    /// Returns the request.
    func serve(_ answer: Answer) throws(BatonError) -> [UInt8] {
      let socket = try listener.accept()
      var buffer = [UInt8](repeating: 0, count: 256)
      let count = try socket.receive(into: &buffer).count
      let granted = descriptorMessage(status: 0, engine, incarnation)
      switch answer {
      case .nothing: break
      case .garbage: try socket.send([UInt8](repeating: 0xBA, count: 40))
      case .tooLong: try socket.send(granted + [UInt8](repeating: 0, count: 4_096))
      case .unknownStatus: try socket.send(descriptorMessage(status: 9, engine, incarnation))
      case .tokenUnknown: try socket.send(descriptorMessage(status: 1, engine, incarnation))
      case .otherEngine:
        let other = descriptorMessage(status: 0, try EngineID("prefill-1"), incarnation)
        try socket.send(other, passing: try memory(pages: 2, seals: .readOnlyForPeers))
      case .noDescriptor: try socket.send(granted)
      case .shortMemory:
        try socket.send(granted, passing: try memory(pages: 1, seals: .readOnlyForPeers))
      case .memoryThatCanShrink:
        try socket.send(granted, passing: try memory(pages: 2, seals: [.grow, .futureWrite]))
      case .rightMemory:
        try socket.send(granted, passing: try memory(pages: 2, seals: .readOnlyForPeers))
      case .rightWord, .wordThatNobodyHolds, .wordsThatCanShrink, .wordsNotSent, .otherWord:
        try sendWords(answer, over: socket)
      }
      return Array(buffer[..<count])
    }

    private func sendWords(_ answer: Answer, over socket: borrowing UnixSocket) throws(BatonError) {
      let words = try LivenessWords()
      let isHeld = answer != .wordThatNobodyHolds
      if isHeld { try words.hold() }
      defer { if isHeld { words.letGo() } }
      let granted = descriptorMessage(status: 0, engine, incarnation, word: 3)
      try socket.send(granted, passing: try memory(pages: 2, seals: .readOnlyForPeers))
      switch answer {
      case .wordsNotSent: return
      case .wordsThatCanShrink:
        try socket.send(granted, passing: try memory(pages: 1, seals: [.grow]))
      case .otherWord:
        let other = descriptorMessage(status: 0, engine, incarnation, word: 4)
        try socket.send(other, passing: words.file)
      default: try socket.send(granted, passing: words.file)
      }
      // Until the asker has seen them.
      var rest = [UInt8](repeating: 0, count: 1)
      _ = try? socket.receive(into: &rest).count
    }

    private func memory(
      pages: Int, seals: SharedMemoryFile.Seals
    ) throws(BatonError) -> SharedMemoryFile {
      let file = try SharedMemoryFile.create(name: "test", length: SystemMemory.pageBytes * pages)
      try SharedMapping(of: file, access: .readWrite).populate()
      try file.add(seals)
      return file
    }
  }
}
