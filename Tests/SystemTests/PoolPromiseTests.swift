import Testing

/// What a pool promises, seen from a second process.
extension SystemTests {
  @Test(
    "A peer that is connected has the pool's pages, and can change neither bytes, length nor seals",
    .timeLimit(.minutes(1)))
  func poolCannotBeChanged() async throws {
    let owner = try await PoolPeerProcess("owner", engine: "prefill-0")
    let peer = try await PoolPeerProcess("reader", engine: "decode-0")
    try await peer.connect(to: owner)
    #expect(try await peer.ask("populated") == "present all of the mapping")
    let lease = try await owner.ask("lease 8").split(separator: " ")
    let before = try await owner.ask("check \(lease[1]) \(lease[2])")
    #expect(before.hasPrefix("intact"))
    let attacks = try await attacks(peer, "attack \(owner.offer(to: peer))")
    #expect(attacks.count > 20)
    for (name, result) in attacks {
      #expect(["EPERM", "EACCES", "EINVAL", "EIO", "EOPNOTSUPP"].contains(result), "\(name)")
    }
    // The calls that name the seals as the reason.
    for name in ["mmap writable", "fallocate PUNCH_HOLE", "ftruncate to 0", "write"] {
      #expect(attacks[name] == "EPERM", "\(name)")
    }
    // The lease has expired by now, perhaps; nobody has reused the blocks.
    var after = ""
    repeat { after = try await owner.ask("check \(lease[1]) \(lease[2])") } while after == "expired"
    #expect(after == before)
  }

  @Test("Against memory without seals the same attacks succeed", .timeLimit(.minutes(1)))
  func attacksAreReal() async throws {
    let peer = try await PoolPeerProcess("reader", engine: "decode-0")
    let attacks = try await attacks(peer, "attack-unsealed")
    let refused = Set(attacks.filter { $0.value != "done" }.keys)
    // What Linux does to no shared memory, or not while a mapping may become writable.
    #expect(
      refused.isSubset(of: [
        "fallocate ZERO_RANGE", "fallocate COLLAPSE_RANGE", "madvise MADV_REMOVE",
        "write to /proc/self/mem", "fcntl F_ADD_SEALS WRITE",
      ]), "\(refused)")
  }

  /// The result of each attack by its name: `done` or an errno.
  private func attacks(
    _ peer: PoolPeerProcess, _ command: String
  ) async throws -> [String: String] {
    var results: [String: String] = [:]
    var line = try await peer.ask(command)
    while line.hasPrefix("attack ") {
      let words = line.split(separator: " ", maxSplits: 2).map(String.init)
      results[words[2]] = words[1]
      line = try await peer.next()
    }
    #expect(line == "attacked")
    return results
  }

  /// What an impostor hands out, and what the error says of it.
  private static let impostors: [(kind: String, code: String, text: String)] = [
    ("unsealed", "INCOMPATIBLE", "seals none are there"),
    ("can-shrink", "INCOMPATIBLE", "SHRINK is needed"),
    ("can-grow", "INCOMPATIBLE", "SHRINK|GROW|SEAL|FUTURE_WRITE are needed"),
    ("writable", "INCOMPATIBLE", "SHRINK|GROW|SEAL|FUTURE_WRITE are needed"),
    ("open-to-seals", "INCOMPATIBLE", "SHRINK|GROW|SEAL|FUTURE_WRITE are needed"),
    ("too-small", "INCOMPATIBLE", "its regions need 266240"),
    ("sparse", "INCOMPATIBLE", "its owner must populate it"),
    ("empty", "INCOMPATIBLE", "has 0 bytes"),
    ("file", "INCOMPATIBLE", "no memory that can be sealed"),
    ("shmem-file", "INCOMPATIBLE", "SHRINK is needed"),
    ("directory", "INCOMPATIBLE", "no memory that can be sealed"),
    ("device", "INCOMPATIBLE", "no memory that can be sealed"),
    ("pipe", "INCOMPATIBLE", "no memory that can be sealed"),
    ("socket", "INCOMPATIBLE", "no memory that can be sealed"),
    ("none", "PROTOCOL_VIOLATION", "the answer has none"),
  ]

  @Test(
    "A descriptor that is no sealed pool of the right size is refused, and nothing stays open",
    .timeLimit(.minutes(1)))
  func impostorsAreRefused() async throws {
    let reader = try await PoolPeerProcess("reader", engine: "decode-0")
    let token = String(repeating: "ab", count: 16)
    // The first connection makes threads and buffers that stay.
    let real = try await PoolPeerProcess("owner", engine: "prefill-0")
    try await reader.connect(to: real)
    var before = Resources(descriptors: .max, memories: .max)
    for (kind, code, text) in [("pool", "", "")] + Self.impostors {
      let impostor = try await PoolPeerProcess("impostor", engine: "prefill-0", kind: kind)
      let connect = "connect prefill-0 \(impostor.incarnation) \(impostor.details[0]) \(token)"
      for _ in 0..<5 {
        let answer = try await reader.ask(connect)
        if kind == "pool" {
          #expect(answer == "connected")
        } else {
          #expect(answer.hasPrefix("refused \(code): "), "\(kind): \(answer)")
          #expect(answer.contains(text), "\(kind): \(answer)")
        }
      }
      // The thread that fetched the memory holds it a moment longer.
      for _ in 0..<100 where kind == "pool" {
        before = before.least(try await Resources(of: reader))
      }
    }
    // The reader still has the memory that it was connected to last, and nothing more.
    var after = try await Resources(of: reader)
    for _ in 0..<1_000 where after != before { after = try await Resources(of: reader) }
    #expect(after == before)
    try await reader.connect(to: real)
  }

  /// What a reader has open and mapped.
  private struct Resources: Equatable {
    var descriptors: Int
    var memories: Int

    init(descriptors: Int, memories: Int) {
      self.descriptors = descriptors
      self.memories = memories
    }

    init(of reader: PoolPeerProcess) async throws {
      let numbers = try await reader.ask("resources").split(separator: " ").compactMap { Int($0) }
      try #require(numbers.count == 2)
      self.init(descriptors: numbers[0], memories: numbers[1])
    }

    func least(_ other: Resources) -> Resources {
      Resources(
        descriptors: min(descriptors, other.descriptors), memories: min(memories, other.memories))
    }
  }
}
