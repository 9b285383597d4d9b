import KVCore
import TestSupport
import Testing
import Verbs

/// Two queue pairs of one device that are connected with each other, and memory for both.
@safe
final class Loopback {
  let device: DeviceContext
  let domain: ProtectionDomain
  let queue: CompletionQueue
  let source: UnsafeMutableBufferPointer<UInt64>
  let target: UnsafeMutableBufferPointer<UInt64>

  static let bytes = 1 << 20

  /// - Parameter completions: that the queue has room for.
  init(completions: Int = 256) throws {
    let name = try #require(DeviceContext.deviceNames().first, "there is an RDMA device")
    device = try DeviceContext(opening: name)
    domain = try ProtectionDomain(device: device)
    queue = try CompletionQueue(device: device, capacity: completions)
    unsafe source = Self.memory()
    unsafe target = Self.memory()
    for place in unsafe source.indices {
      unsafe source[place] = UInt64(place) &* 0x9E37_79B9_7F4A_7C15
      unsafe target[place] = 0
    }
  }

  private static func memory() -> UnsafeMutableBufferPointer<UInt64> {
    let raw = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 4_096)
    return unsafe raw.bindMemory(to: UInt64.self)
  }

  deinit {
    unsafe source.deallocate()
    unsafe target.deallocate()
  }

  var sourceAddress: UInt { unsafe UInt(bitPattern: source.baseAddress) }
  var targetAddress: UInt { unsafe UInt(bitPattern: target.baseAddress) }

  private func registered(
    _ address: UInt, _ use: RegisteredMemory.Use, isRelaxed: Bool
  ) throws(BatonError) -> RegisteredMemory {
    try RegisteredMemory(
      domain, address: address, length: Self.bytes, use: use, isRelaxed: isRelaxed)
  }

  /// Two queue pairs that are connected with each other, and both memories registered.
  struct Ends: ~Copyable {
    let source: RegisteredMemory
    let target: RegisteredMemory
    let reader: QueuePair
    let owner: QueuePair

    /// Of the first bytes to the first bytes.
    func read(id: UInt64, length: Int) -> QueuePair.Read {
      QueuePair.Read(
        id: id, localAddress: target.address, remoteAddress: UInt64(source.address),
        length: length, localKey: target.localKey, remoteKey: source.remoteKey, isSignalled: true)
    }
  }

  func ends(isRelaxed: Bool = false) throws -> Ends {
    let ends = Ends(
      source: try registered(sourceAddress, .readByPeers, isRelaxed: isRelaxed),
      target: try registered(targetAddress, .targetOfReads, isRelaxed: isRelaxed),
      reader: try pair(), owner: try pair())
    try connect(ends.reader, to: ends.owner)
    try connect(ends.owner, to: ends.reader)
    return ends
  }

  private func pair() throws(BatonError) -> QueuePair {
    let pair = try QueuePair(domain, completions: queue, requests: 128)
    try pair.initialize(port: 1, peerReads: true)
    return pair
  }

  private func connect(_ one: borrowing QueuePair, to other: borrowing QueuePair) throws {
    let port = try #require(device.port(1))
    let best = GID.bestPair(own: port.gids, peer: port.gids)
    try one.connect(
      QueuePair.Path(
        queuePair: other.number, ownSequence: 7, peerSequence: 7, port: 1, mtu: port.mtu,
        lid: port.lid, gids: best.map { ($0.own.index, $0.peer.bytes) }, outgoingReads: 16,
        incomingReads: 16))
  }

  /// The next completions, `count` of them, slept for where there are none.
  func completions(_ count: Int) throws -> [CompletionQueue.Completion] {
    var found: [CompletionQueue.Completion] = []
    while found.count < count {
      let new = try queue.poll { found.append($0) }
      guard new == 0 else { continue }
      try queue.arm()
      guard try queue.poll({ found.append($0) }) == 0 else { continue }
      guard try queue.wait(milliseconds: 20_000) else { break }
    }
    return found
  }
}

@Suite(
  "Verbs on a device", .serialized, .timeLimit(.minutes(2)),
  .enabled(if: RDMALab.runs, "there is no RDMA device on this machine"))
struct DeviceTests {
  @Test("A device tells its limits, ports and GIDs")
  func query() throws {
    let device = try Loopback().device
    let port = try #require(device.port(1))
    #expect(port.isActive && port.mtu >= ByteCount(256))
    #expect(!port.gids.isEmpty)
    // The lab gives its interface an IPv4 address of 24 bits.
    #expect(!RDMALab.isHere || port.gids.contains { $0.isIPv4 && $0.prefixBits == 96 + 24 })
    #expect(device.limits.requests >= 128 && device.limits.incomingReads > 0)
    #expect(device.port(200) == nil)
    #expect(throws: BatonError.self) { try DeviceContext(opening: "nothing0") }
  }

  @Test(
    "A chain of READs brings every byte, and the signalled ones have completions",
    arguments: [false, true])
  func reads(isRelaxed: Bool) throws {
    let loopback = try Loopback()
    let ends = try loopback.ends(isRelaxed: isRelaxed)
    let piece = Loopback.bytes / 64
    // From the last piece to the first, so that each lands elsewhere than it lies in the order.
    let reads = (0..<64).map { place in
      QueuePair.Read(
        id: UInt64(place), localAddress: loopback.targetAddress + UInt((63 - place) * piece),
        remoteAddress: UInt64(loopback.sourceAddress) + UInt64((63 - place) * piece), length: piece,
        localKey: ends.target.localKey, remoteKey: ends.source.remoteKey,
        isSignalled: place % 16 == 15)
    }
    let (posted, error) = ends.reader.post(reads.count) { reads[$0] }
    #expect(posted == 64 && error == nil)
    let completions = try loopback.completions(4)
    #expect(completions.map(\.id) == [15, 31, 47, 63])
    #expect(completions.allSatisfy { $0.isSuccess })
    #expect(unsafe loopback.target.elementsEqual(loopback.source))
  }

  @Test(
    "A READ with a wrong key, or past the region's end, fails, and what is behind it is flushed",
    arguments: [(UInt32(0x5A5A00), 0), (UInt32(0), Loopback.bytes - 4_095)])
  func refused(key: UInt32, offset: Int) throws {
    let loopback = try Loopback()
    let ends = try loopback.ends()
    let reads = (0..<4).map { place in
      QueuePair.Read(
        id: UInt64(place), localAddress: loopback.targetAddress,
        remoteAddress: UInt64(loopback.sourceAddress) + UInt64(place == 1 ? offset : 0),
        length: 4_096, localKey: ends.target.localKey,
        remoteKey: ends.source.remoteKey ^ (place == 1 ? key : 0), isSignalled: true)
    }
    #expect(ends.reader.post(reads.count, { reads[$0] }).error == nil)
    let completions = try loopback.completions(4)
    #expect(completions.map(\.id) == [0, 1, 2, 3])
    #expect(completions[0].isSuccess)
    // IBV_WC_REM_ACCESS_ERR
    #expect(completions[1].status == 10)
    #expect(completions[2...].allSatisfy { $0.isFlushed })
  }

  @Test("What is outstanding on a queue pair that is reset is forgotten")
  func reset() throws {
    let loopback = try Loopback()
    let ends = try loopback.ends()
    try ends.owner.fail()
    let read = ends.read(id: 9, length: 4_096)
    #expect(ends.reader.post(1, { _ in read }).error == nil)
    // In ERR it would come back flushed.
    try ends.reader.reset()
    for _ in 0..<1_000 { #expect(try loopback.queue.poll { _ in } == 0) }
    #expect(unsafe loopback.target.allSatisfy { $0 == 0 })
  }

  @Test("Nothing is read from a queue pair in ERR, and its own requests come back")
  func failed() throws {
    let loopback = try Loopback()
    let ends = try loopback.ends()
    try ends.owner.fail()
    let read = ends.read(id: 9, length: 4_096)
    #expect(ends.reader.post(1, { _ in read }).error == nil)
    try ends.reader.fail()
    let completions = try loopback.completions(1)
    #expect(completions.map(\.id) == [9])
    #expect(completions.first?.isSuccess == false)
    #expect(unsafe loopback.target.allSatisfy { $0 == 0 })
  }
}
