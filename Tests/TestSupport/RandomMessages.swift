package import ControlProtocol
package import ControlWire
package import KVCore

/// Valid messages of every kind with random values: the same seed gives the same messages.
package struct RandomMessages {
  private var generator: SplitMix64

  package init(seed: UInt64) { generator = SplitMix64(seed: seed) }

  package mutating func next() -> UInt64 { generator.next() }

  package mutating func number(_ range: ClosedRange<Int>) -> Int {
    range.lowerBound + Int(next() % UInt64(range.count))
  }

  package mutating func chance() -> Bool { next() % 2 == 0 }

  private mutating func number32() -> UInt32 { UInt32(truncatingIfNeeded: next()) }

  package mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
  }

  package mutating func text(_ lengths: ClosedRange<Int> = 0...24) -> String {
    let alphabet = Array("abcXYZ 09-_/:.äß漢🙂")
    return String((0..<number(lengths)).map { _ in alphabet[number(0...alphabet.count - 1)] })
  }

  private mutating func list<T>(
    _ counts: ClosedRange<Int>, _ make: (inout RandomMessages) -> T
  ) -> [T] {
    (0..<number(counts)).map { _ in make(&self) }
  }

  private mutating func pick<T>(_ values: [T]) -> T { values[number(0...values.count - 1)] }

  package mutating func engine() throws -> EngineID {
    try EngineID("engine-\(number(0...9_999))" + pick(["", ".a", "_B", "-9"]))
  }

  private mutating func incarnation() -> Incarnation { Incarnation(next() | 1) }

  package mutating func tokens(_ counts: ClosedRange<Int>) -> [TokenID] {
    list(counts) { TokenID($0.next() >> 33) }
  }

  private mutating func sampling() -> SamplingParameters {
    SamplingParameters(
      temperature: Float(number(0...200)) / 100, seed: next(), maximumTokens: number32(),
      ignoresEndTokens: chance())
  }

  private mutating func ticketID() -> TicketID { TicketID(high: next(), low: next()) }

  private mutating func ticket() throws -> Ticket {
    Ticket(
      id: ticketID(), engine: try engine(), incarnation: incarnation(),
      addresses: list(0...4) { $0.text() }, tokenCount: UInt32(number(0...1 << 20)),
      blocks: list(0...20) {
        BlockRange(
          first: BlockIndex(UInt32($0.number(0...1 << 20))), count: UInt32($0.number(1...64)))
      },
      leaseMilliseconds: number32())
  }

  private mutating func done() -> PrefillDone {
    PrefillDone(
      firstToken: chance() ? TokenID(next() >> 33) : nil,
      finish: chance() ? pick(FinishReason.allCases) : nil, queuedMicroseconds: next(),
      computedMicroseconds: next())
  }

  private mutating func progress() -> PrefillProgress {
    // As a pool gives them out, with and without jumps, or any.
    var last = next()
    let jumps = number(0...2)
    let stamps = list(0...40) { random in
      switch jumps {
      case 0: last &+= 2
      case 1: last &+= UInt64(2 * random.number(1...3) / 2)
      default: last = random.next()
      }
      return last
    }
    return PrefillProgress(
      firstBlock: number32(), stamps: stamps, checksums: stamps.map { _ in next() },
      completion: chance() ? done() : nil, windows: list(0...3) { $0.window() })
  }

  private mutating func endpoints() -> [EndpointInfo] {
    list(0...3) { random in
      EndpointInfo(
        sharedMemory: random.chance() ? random.sharedMemoryEndpoint() : nil,
        rdma: random.chance() ? random.rdmaEndpoint() : nil,
        tcp: random.chance() ? random.tcpEndpoint() : nil)
    }
  }

  private mutating func sharedMemoryEndpoint() -> SharedMemoryEndpoint {
    let isOffered = chance()
    return SharedMemoryEndpoint(
      socketName: isOffered ? "@" + text(1...20) : "",
      token: isOffered ? bytes(WireLimits.socketTokenBytes) : [], regions: regions())
  }

  private mutating func tcpEndpoint() -> TCPEndpoint {
    let addresses = list(0...3) { $0.text(1...20) }
    return TCPEndpoint(
      addresses: addresses, salt: addresses.isEmpty ? [] : bytes(WireLimits.dataSaltBytes),
      regions: regions())
  }

  private mutating func rdmaEndpoint() -> RDMAEndpoint {
    let ports = list(0...2) { random in
      RDMAEndpoint.Port(
        isEthernet: random.chance(), lid: UInt16(random.number(0...0xFFFF)),
        mtu: UInt32(random.number(256...4_096)),
        gids: random.list(0...3) {
          RDMAEndpoint.GlobalID(
            gid: $0.bytes(WireLimits.gidBytes), index: UInt8($0.number(0...255)),
            type: UInt8($0.number(0...2)))
        })
    }
    return RDMAEndpoint(
      ports: ports,
      lanes: list(0...3) {
        RDMAEndpoint.Lane(
          port: $0.number(0...WireLimits.maximumRDMAPorts - 1),
          queuePair: UInt32($0.number(0...WireLimits.maximumSequence)),
          sequence: UInt32($0.number(0...WireLimits.maximumSequence)), reads: $0.number(1...255),
          ownGID: $0.number(0...255), peerGID: $0.number(0...255))
      },
      regions: list(0...2) { random in
        RDMAEndpoint.Region(
          key: RegionKey(random.number32()), length: ByteCount(random.number(0...1 << 46)),
          address: random.next())
      },
      proof: chance()
        ? RDMAEndpoint.Proof(address: next(), remoteKeys: list(0...3) { $0.number32() }) : nil)
  }

  private mutating func window() -> RDMAWindow {
    RDMAWindow(
      region: RegionKey(number32()), offset: ByteCount(number(0...1 << 46)),
      length: ByteCount(number(0...1 << 46)), remoteKeys: list(0...3) { $0.number32() })
  }

  private mutating func regions() -> [RegionInfo] {
    list(0...3) {
      RegionInfo(key: RegionKey($0.number32()), length: ByteCount($0.number(0...1 << 46)))
    }
  }

  private mutating func model() -> ModelSummary {
    ModelSummary(
      name: text(), fingerprint: bytes(WireLimits.sha256Bytes),
      geometry: KVGeometry(
        blockTokens: number(1...256),
        groups: list(1...3) {
          CacheGroup(
            layers: $0.number(1...96), keyValueHeads: $0.number(1...64),
            headDimension: $0.number(1...256), dataType: $0.pick(KVDataType.allCases))
        }),
      contextTokens: number32(), vocabularySize: number32(), endTokens: tokens(0...4),
      poolBlocks: UInt32(number(0...Limits.maximumPoolBlocks)))
  }

  private mutating func families() -> [MetricFamily] {
    list(0...4) {
      MetricFamily(
        name: $0.text(), help: $0.text(), kind: $0.pick(MetricFamily.Kind.allCases),
        samples: $0.list(0...5) {
          MetricFamily.Sample(
            suffix: $0.pick(["", "_bucket", "_sum", "_count"]),
            labels: $0.list(0...3) { MetricFamily.Label(name: $0.text(), value: $0.text()) },
            value: Double($0.number(-1_000_000...1_000_000)) / 7)
        })
    }
  }

  private mutating func chunk() -> ModelAssetChunk {
    let data = bytes(number(0...300))
    let offset = number(0...1_000)
    return ModelAssetChunk(
      name: text(), sha256: bytes(WireLimits.sha256Bytes),
      totalBytes: UInt64(offset + data.count + number(0...1_000)), offset: UInt64(offset),
      data: data)
  }

  private mutating func textRequest() -> TextRequest {
    TextRequest(
      model: text(), prompt: text(0...500) + "\0",
      maximumTokens: chance() ? 1 + number32() / 2 : nil,
      temperature: Float(number(0...200)) / 100, seed: chance() ? next() : nil,
      stops: list(0...WireLimits.maximumStops) { "s" + $0.text() }, ignoresEndTokens: chance())
  }

  private mutating func ending() -> TextChunk.Ending {
    TextChunk.Ending(
      reason: pick(FinishReason.allCases), promptTokens: number32(), completionTokens: number32())
  }

  private mutating func proof() -> Proof {
    Proof(codes: list(1...WireLimits.maximumProofCodes) { $0.bytes(WireLimits.proofCodeBytes) })
  }

  private mutating func migration() -> MigrationReport {
    MigrationReport(
      transport: "shm", mode: pick(["borrow", "copy"]), blocks: number32(), bytes: next(),
      microseconds: next())
  }

  /// A message of this type. The switch is over all types, so that none is left out.
  package mutating func message(_ type: MessageType) throws -> Message {
    switch type {
    case .hello:
      .hello(
        Hello(
          versions: list(0...4) { $0.number32() }, engine: try engine(),
          incarnation: incarnation(), role: pick(Role.allCases),
          features: list(0...4) { $0.text() },
          nonce: bytes(WireLimits.nonceBytes)))
    case .proof: .proof(proof())
    case .peerInfo:
      .peerInfo(
        PeerInfo(
          model: chance() ? model() : nil, bootID: text(), processID: number32(),
          addresses: list(0...4) { $0.text() }, ranks: UInt32(number(1...WireLimits.maximumRanks))))
    case .error:
      .error(
        BatonError(
          pick(ErrorCode.allCases), text(0...200), isRetryable: chance(),
          retryAfterMilliseconds: chance() ? number32() : nil))
    case .cancel: .cancel
    case .acknowledged: .acknowledged
    case .credit: .credit(UInt32(number(1...Int(UInt32.max))))
    case .ping: .ping(next())
    case .pong: .pong(next())
    case .modelAssetsRequest: .modelAssetsRequest
    case .modelAssetChunk: .modelAssetChunk(chunk())
    case .metricsRequest: .metricsRequest
    case .metricsReply: .metricsReply(families())
    case .prefillRequest:
      .prefillRequest(
        PrefillRequest(
          request: RequestID("r" + text()), attempt: number32(), tokens: tokens(0...500),
          sampling: sampling()))
    case .prefillAccepted: .prefillAccepted(try ticket())
    case .prefillDone: .prefillDone(done())
    case .decodeRequest:
      .decodeRequest(
        DecodeRequest(
          request: RequestID("r" + text()), attempt: number32(), ticket: try ticket(),
          sampling: sampling()))
    case .generateRequest:
      .generateRequest(
        GenerateRequest(
          request: RequestID("r" + text()), attempt: number32(), tokens: tokens(0...500),
          sampling: sampling()))
    case .tokenChunk:
      .tokenChunk(
        TokenChunk(
          firstIndex: number32(), tokens: tokens(0...8),
          finish: chance() ? pick(FinishReason.allCases) : nil,
          migration: chance() ? migration() : nil))
    case .textRequest: .textRequest(textRequest())
    case .textChunk: .textChunk(TextChunk(text: text(0...40), ending: chance() ? ending() : nil))
    case .linkPrepare:
      .linkPrepare(LinkPrepare(engine: try engine(), addresses: list(0...4) { $0.text() }))
    case .linkOpen: .linkOpen(LinkOpen(link: LinkID(next()), endpoints: endpoints()))
    case .linkOpened: .linkOpened(LinkOpened(endpoints: endpoints()))
    case .ticketClaim:
      .ticketClaim(TicketClaim(ticket: ticketID(), link: LinkID(next()), attempt: number32()))
    case .prefillProgress: .prefillProgress(progress())
    case .leaseRenew: .leaseRenew(LeaseTickets(tickets: list(0...20) { $0.ticketID() }))
    case .leaseRelease: .leaseRelease(LeaseTickets(tickets: list(0...20) { $0.ticketID() }))
    case .leaseRecall: .leaseRecall(LeaseTickets(tickets: list(0...20) { $0.ticketID() }))
    case .linkClose: .linkClose(LinkClose(link: LinkID(next())))
    }
  }
}
