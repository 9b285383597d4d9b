import CPoolAttacks
import ControlProtocol
import Dispatch
import Foundation
import Glibc
import KVCore
import KVPool
import Migration
import Platform
import Synchronization
import TestSupport

/// Connects to an owner's pool, or an impostor's, and reads it or attacks it.
final class Reader {
  private let settings: PoolSettings
  private let backend: MigrationBackend
  let destination: KVPool
  let layout: PoolLayout
  private let link = LinkID.random()
  private var migration: PoolMigration?

  init(_ settings: PoolSettings) throws(BatonError) {
    self.settings = settings
    destination = try KVPool(geometry: settings.geometry, blockCount: settings.blockCount)
    layout = destination.layout
    backend = try MigrationBackend(engine: settings.engine, incarnation: settings.incarnation)
  }

  func run() throws {
    Dialogue.say("ready \(settings.incarnation.rawValue)")
    while case .command(let words) = Dialogue.next(before: nil) { try obey(words) }
  }

  private func obey(_ words: [String]) throws {
    switch (words.first, Array(words.dropFirst())) {
    case ("connect", let words) where words.count == 4: connect(words)
    case ("resources", _):
      let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
      let memories = try lines(of: "/proc/self/maps").filter { $0.contains("/memfd:") }.count
      Dialogue.say("resources \(descriptors) descriptors \(memories) memories")
    case ("populated", _):
      let region = try backend.remoteRegion(link: link, key: PoolLayout.blocksKey)
      Dialogue.say("present \(try present(from: region.address)) of the mapping")
    case ("attack", let words) where words.count == 2: try attack(words)
    case ("attack-unsealed", _): try attackUnsealed()
    case ("race", let words) where words.count == 4:
      let race = try RaceRun(
        mode: words[0], reads: Int(words[1]) ?? 0, batch: Int(words[2]) ?? 0,
        seed: UInt64(words[3]) ?? 0)
      try race.run(
        connected(), layout: layout, into: destination,
        lines: backend.remoteRegion(link: link, key: PoolLayout.linesKey).address)
    case ("hold", let words) where words.count == 3:
      let held = HeldRead(blocks: try Words.ranges(words[1]), stamps: Words.stamps(words[2]))
      Dialogue.say(
        words[0] == "copy"
          ? try held.copy(connected(), into: destination)
          : try held.borrow(connected(), blockBytes: settings.blockBytes))
    default: throw BatonError(.invalidArgument, "\(words) is no command of a reader")
    }
  }

  /// `all` or `part`: how much of the mapping that starts at `address` this process could read
  /// without a page fault (`Rss` and `Size` of proc(5)).
  private func present(from address: UInt) throws -> String {
    let start = String(address, radix: 16) + "-"
    let lines = try lines(of: "/proc/self/smaps").drop { !$0.hasPrefix(start) }
    func kibibytes(_ name: String) -> Int? {
      lines.first { $0.hasPrefix(name) }.flatMap { line in
        line.split(separator: " ").compactMap { Int($0) }.first
      }
    }
    guard let size = kibibytes("Size:"), let resident = kibibytes("Rss:") else { return "nothing" }
    return size == resident ? "all" : "part"
  }

  /// Of a file that has no length and comes in pieces, as those of proc(5) do.
  private func lines(of path: String) throws -> [Substring] {
    let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
    return String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self).split(separator: "\n")
  }

  private func connected() throws(BatonError) -> PoolMigration {
    guard let migration else { throw BatonError(.unavailable, "the reader is not connected") }
    return migration
  }

  // MARK: Connecting

  /// - Parameter words: the owner's name, its incarnation, the socket and the token.
  private func connect(_ words: [String]) {
    do {
      let peer = try EngineID(words[0])
      backend.disconnect(link: link)
      try backend.initialize(
        link: link, remote: peer, remoteIncarnation: Incarnation(UInt64(words[1]) ?? 0))
      try backend.registerMemoryRegion(.destination(destination), link: link)
      let endpoint = SharedMemoryEndpoint(
        socketName: words[2], token: Hexadecimal.bytes(words[3]) ?? [],
        regions: layout.regions.map { RegionInfo(key: $0.key, length: $0.length) })
      do {
        try wait { [backend, link] in
          try await backend.connect(link: link, remote: EndpointInfo(sharedMemory: endpoint))
        }
        migration = try PoolMigration(
          backend: backend, link: link, peer: peer, remote: layout, destination: destination)
      } catch {
        backend.disconnect(link: link)
        throw error
      }
      Dialogue.say("connected")
    } catch {
      Dialogue.say("refused \(BatonError(wrapping: error))")
    }
  }

  /// Blocks the one thread of this program for what only exists asynchronously.
  private func wait(_ body: @escaping @Sendable () async throws -> Void) throws {
    let done = DispatchSemaphore(value: 0)
    let outcome = Outcome()
    Task.detached {
      do { try await body() } catch { outcome.failure.withLock { $0 = error } }
      done.signal()
    }
    done.wait()
    if let error = outcome.failure.withLock({ $0 }) { throw error }
  }

  private final class Outcome: Sendable {
    let failure = Mutex<(any Error)?>(nil)
  }

  // MARK: Attacking

  /// - Parameter words: the socket and the token of an offer that nobody has taken.
  private func attack(_ words: [String]) throws {
    let descriptor = try DescriptorRequest.fetch(
      from: words[0], token: Hexadecimal.bytes(words[1]) ?? [], as: settings.engine,
      settings.incarnation)
    let region = try backend.remoteRegion(link: link, key: PoolLayout.blocksKey)
    for index in 0..<pool_attack_count {
      attack(index, descriptor.rawValue, region.address, length: Self.length(of: descriptor))
    }
    Dialogue.say("attacked")
  }

  /// The same against memory without seals, which shows what each attack does where it can.
  private func attackUnsealed() throws {
    for index in 0..<pool_attack_count {
      let file = try SharedMemoryFile.create(name: "unsealed", length: .kibibytes(64))
      let mapping = try SharedMapping(of: file, access: .readOnly)
      try file.withDescriptor {
        attack(index, $0.rawValue, mapping.address, length: Self.length(of: $0))
      }
    }
    Dialogue.say("attacked")
  }

  private func attack(_ index: CInt, _ descriptor: CInt, _ mapping: UInt, length: Int) {
    guard let address = unsafe UnsafeMutableRawPointer(bitPattern: mapping) else { return }
    let error = unsafe pool_attack(index, descriptor, address, length)
    let name = unsafe String(cString: pool_attack_name(index))
    let result = error == 0 ? "done" : unsafe String(cString: pool_attack_error(error))
    Dialogue.say("attack \(result) \(name)")
  }

  private static func length(of descriptor: borrowing FileDescriptor) -> Int {
    var status = stat()
    return unsafe fstat(descriptor.rawValue, &status) == 0 ? Int(status.st_size) : 0
  }
}
