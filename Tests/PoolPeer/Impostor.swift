import Glibc
import KVCore
import KVPool
import Platform
import TestSupport

/// Speaks as a prefill engine does and hands out something else than its pool, as often as asked.
final class Impostor: Sendable {
  /// O_TMPFILE (open(2)): a file without a name.
  private static let temporary = 0o20000000 | O_DIRECTORY

  private let settings: PoolSettings
  private let kind: String
  private let listener: UnixListener

  init(_ settings: PoolSettings, kind: String) throws(BatonError) {
    self.settings = settings
    self.kind = kind
    listener = try UnixListener(
      name: "@baton-test-" + Hexadecimal.string(UInt64.random(in: 0...UInt64.max)), backlog: 8)
  }

  /// Until standard input ends.
  func run() throws {
    let thread = try PlatformThread.start(name: "impostor") {
      do {
        while true { try self.answer() }
      } catch {
        Dialogue.say("failed \(error)")
      }
    }
    Dialogue.say("ready \(settings.incarnation.rawValue) \(listener.name)")
    while case .command = Dialogue.next(before: nil) {}
    withExtendedLifetime(thread) {}
  }

  private func answer() throws(BatonError) {
    let socket = try listener.accept()
    var buffer = [UInt8](repeating: 0, count: 256)
    guard try socket.receive(into: &buffer).count > 0 else { return }
    let answer =
      DescriptorRequest.header(settings.engine, settings.incarnation)
      + Array(settings.engine.name.utf8)
    if let file = try file() {
      try socket.send(answer, passing: file)
    } else {
      try socket.send(answer)
    }
  }

  /// Nil to send none.
  private func file() throws(BatonError) -> SharedMemoryFile? {
    let length = try PoolLayout(geometry: settings.geometry, blockCount: settings.blockCount).length
    let page = SystemMemory.pageBytes
    switch kind {
    case "pool": return try memory(length, .readOnlyForPeers)
    case "sparse": return try memory(length, .readOnlyForPeers)
    case "unsealed": return try memory(length, [])
    case "can-shrink": return try memory(length, [.grow, .futureWrite, .seal])
    case "can-grow": return try memory(length, [.shrink, .futureWrite, .seal])
    case "writable": return try memory(length, [.shrink, .grow, .seal])
    case "open-to-seals": return try memory(length, [.shrink, .grow, .futureWrite])
    case "too-small":
      return try memory(
        ByteCount(SystemMemory.roundUp(length, to: page).rawValue - page.rawValue),
        .readOnlyForPeers)
    case "empty":
      let file = try memory(page, [])
      try file.withDescriptor { _ = ftruncate($0.rawValue, 0) }
      try file.add(.readOnlyForPeers)
      return file
    case "file": return try opened("/tmp", O_RDWR | Self.temporary, length)
    case "shmem-file": return try opened("/dev/shm", O_RDWR | Self.temporary, length)
    case "directory": return try opened("/", O_RDONLY | O_DIRECTORY, .zero)
    case "device": return try opened("/dev/zero", O_RDWR, .zero)
    case "pipe":
      var ends: [CInt] = [-1, -1]
      _ = unsafe pipe(&ends)
      close(ends[1])
      return try SharedMemoryFile(received: FileDescriptor(owning: ends[0]), name: kind)
    case "socket":
      let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
      return try SharedMemoryFile(received: FileDescriptor(owning: descriptor), name: kind)
    case "none": return nil
    default: throw BatonError(.invalidArgument, "\(kind) is no kind of descriptor")
    }
  }

  private func memory(
    _ length: ByteCount, _ seals: SharedMemoryFile.Seals
  ) throws(BatonError) -> SharedMemoryFile {
    let file = try SharedMemoryFile.create(name: kind, length: length)
    if kind != "sparse" {
      let mapping = try SharedMapping(of: file, access: .readWrite)
      try mapping.populate()
    }
    try file.add(seals)
    return file
  }

  private func opened(
    _ path: String, _ flags: CInt, _ length: ByteCount
  ) throws(BatonError) -> SharedMemoryFile {
    let descriptor = unsafe open(path, flags, 0o600)
    guard descriptor >= 0 else {
      throw BatonError(errno: errno, call: "open", subject: path)
    }
    if length > .zero { _ = ftruncate(descriptor, length.rawValue) }
    return try SharedMemoryFile(received: FileDescriptor(owning: descriptor), name: kind)
  }
}

/// The bytes of the descriptor protocol (Protocols/README.md, "Shared memory"), written out here so
/// that a test does not believe the code that it tests.
enum DescriptorRequest {
  /// The first 16 bytes of either side's message.
  static func header(_ engine: EngineID, _ incarnation: Incarnation) -> [UInt8] {
    let number = (0..<8).map { UInt8(truncatingIfNeeded: incarnation.rawValue >> (8 * $0)) }
    return Array("BTND".utf8) + [1, 0, UInt8(engine.name.utf8.count), 255] + number
  }

  /// Fetches the descriptor itself, which `MigrationBackend` would close once it is mapped.
  static func fetch(
    from socketName: String, token: [UInt8], as engine: EngineID, _ incarnation: Incarnation
  ) throws(BatonError) -> FileDescriptor {
    let socket = try UnixSocket.connect(to: socketName, timeoutMilliseconds: 10_000)
    try socket.send(header(engine, incarnation) + token + Array(engine.name.utf8))
    var buffer = [UInt8](repeating: 0, count: 256)
    var received = try socket.receive(into: &buffer)
    guard let descriptor = received.takeDescriptor() else {
      throw BatonError(.protocolViolation, "no descriptor came, status \(buffer[5])")
    }
    return descriptor
  }
}
