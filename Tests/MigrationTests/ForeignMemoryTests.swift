import ControlProtocol
import KVCore
import KVPool
import Migration
import TestSupport
import Testing

/// An engine that is not Baton's: its blocks lie as it likes, in memory of its own.
struct ForeignMemoryTests {
  /// How a block lies in a foreign engine's memory.
  enum Layout: CaseIterable {
    /// `[layers, blocks, bytes]`, LMDeploy's: a block is one piece for each layer.
    case layerMajor
    /// `[blocks, layers, bytes]`: a block is one piece.
    case blockMajor

    static let layers = 3
    /// Of one layer of one block.
    static let bytes = 512

    func offset(layer: Int, block: Int, of blocks: Int) -> Int {
      switch self {
      case .layerMajor: (layer * blocks + block) * Self.bytes
      case .blockMajor: (block * Self.layers + layer) * Self.bytes
      }
    }
  }

  private static let sourceBlocks = 7
  private static let targetBlocks = 11
  private static let key = RegionKey(0)
  private static let moves = [(from: 5, to: 2), (from: 6, to: 3), (from: 0, to: 10)]

  private static func word(layer: Int, block: Int) -> UInt64 { UInt64(layer * 1_000 + block + 1) }

  @Test("Blocks of an engine without a pool are mapped and copied", arguments: Layout.allCases)
  func mapped(layout: Layout) async throws {
    let length = Layout.layers * Self.sourceBlocks * Layout.bytes
    let source = try ForeignMemory(length: length)
    try await Self.migrate(
      layout, over: .sharedMemory, from: source.region(Self.key, length: length),
      at: source.address)
  }

  @Test("Blocks of an engine without a pool come over TCP", arguments: Layout.allCases)
  func sent(layout: Layout) async throws { try await Self.migrateUnshared(layout, over: .tcp) }

  @Test(
    "Blocks of an engine without a pool come over RDMA",
    .enabled(if: RDMALab.runs, "there is no RDMA device on this machine"),
    arguments: Layout.allCases)
  func read(layout: Layout) async throws { try await Self.migrateUnshared(layout, over: .rdma) }

  private static func migrateUnshared(
    _ layout: Layout, over transport: TransportKind
  ) async throws {
    let source = PlainMemory(length: Layout.layers * sourceBlocks * Layout.bytes)
    let region = MemoryRegion(
      key: key, length: ByteCount(source.length), address: nil,
      sharing: .memory(address: source.address), unit: ByteCount(Layout.bytes), owner: source)
    try await migrate(layout, over: transport, from: region, at: source.address)
  }

  /// Moves some blocks between pools of different lengths, whatever their block counts.
  private static func migrate(
    _ layout: Layout, over transport: TransportKind, from region: MemoryRegion, at start: UInt
  ) async throws {
    let loopback = MigrationOptions.DataListener(
      host: "127.0.0.1", port: 0, advertisedHost: "127.0.0.1")
    let prefill = try Side(
      "prefill-0",
      options: MigrationOptions(transports: [transport], dataListeners: [loopback]))
    let decode = try Side("decode-0", options: MigrationOptions(transports: [transport]))
    let target = PlainMemory(length: Layout.layers * targetBlocks * Layout.bytes)
    for layer in 0..<Layout.layers {
      for block in 0..<sourceBlocks {
        fill(
          start + UInt(layout.offset(layer: layer, block: block, of: sourceBlocks)),
          with: word(layer: layer, block: block), bytes: Layout.bytes)
      }
    }
    let link = LinkID.random()
    try prefill.initialize(link, to: decode)
    try decode.initialize(link, to: prefill)
    try prefill.backend.registerMemoryRegion(region, link: link)
    try decode.backend.registerMemoryRegion(target.region(key), link: link)
    let wanted = try decode.backend.endpointInfo(link: link)
    try await prefill.backend.connect(link: link, remote: wanted)
    try await decode.backend.connect(
      link: link, remote: try prefill.backend.endpointInfo(link: link))
    let ticket = TicketID.random()
    let batch = (0..<Layout.layers).flatMap { layer in
      moves.map { move in
        MigrationItem(
          region: key,
          targetOffset: ByteCount(layout.offset(layer: layer, block: move.to, of: targetBlocks)),
          sourceOffset: ByteCount(layout.offset(layer: layer, block: move.from, of: sourceBlocks)),
          length: ByteCount(Layout.bytes))
      }
    }
    let extents = batch.map {
      RegionExtent(region: key, offset: $0.sourceOffset.rawValue, length: $0.length.rawValue)
    }
    let access = prefill.backend.grant(ticket, extents: extents, link: link)
    let outcome = try decode.backend.migrate(
      link: link, batch: batch, under: ReadGrant(ticket: ticket, windows: access.windows))
    #expect(outcome.bytes == ByteCount(Layout.layers * moves.count * Layout.bytes))
    // Blocks 5 and 6 go to 2 and 3: neighbours on both sides in each layer.
    if layout == .layerMajor { #expect(outcome.reads == Layout.layers * 2) }
    let arrived = Dictionary(uniqueKeysWithValues: moves.map { ($0.to, $0.from) })
    for layer in 0..<Layout.layers {
      for block in 0..<targetBlocks {
        #expect(
          isFilled(
            target.address + UInt(layout.offset(layer: layer, block: block, of: targetBlocks)),
            with: arrived[block].map { word(layer: layer, block: $0) } ?? 0, bytes: Layout.bytes))
      }
    }
    for backend in [prefill.backend, decode.backend] { backend.disconnect(link: link) }
  }
}
