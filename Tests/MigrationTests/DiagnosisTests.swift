import KVCore
import Migration
import Platform
import Testing
import Verbs

@Suite("What baton doctor finds")
struct DiagnosisTests {
  private static func port(isActive: Bool) -> DeviceContext.Port {
    DeviceContext.Port(
      number: 1, isActive: isActive, isEthernet: true, lid: 0, mtu: ByteCount(4_096),
      gids: [
        GID(
          index: 1, bytes: [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF, 10, 0, 0, 7],
          kind: .roceV2)
      ])
  }

  private static func facts(_ ports: [DeviceContext.Port]) -> MachineFacts {
    MachineFacts(
      availableMemory: .mebibytes(16 << 10),
      hugePages: HugePageSettings(reserved: .init(total: 0, free: 0), shmem: "advise"),
      poolPages: PageReport(
        kind: .transparentHuge, huge: .mebibytes(4), total: .mebibytes(4)),
      devices: ports.isEmpty
        ? []
        : [
          .init(
            name: "mlx5_0",
            limits: .init(
              regionBytes: 1 << 40, completions: 4_096, requests: 1_024, outgoingReads: 16,
              incomingReads: 16, hasWindows: true), ports: ports)
        ],
      lockedDevices: [],
      lockedMemory: LockedMemory(limit: nil, pinned: .zero, isPrivileged: false),
      socketBuffers: SocketBuffers(sending: .mebibytes(16), receiving: .mebibytes(16)))
  }

  private static func finding(_ kind: TransportKind, _ facts: MachineFacts) throws
    -> Diagnosis.Finding
  {
    try #require(Diagnosis(facts).findings.first { $0.transport == kind })
  }

  @Test("A machine that has everything gets no advice, and its devices are named")
  func good() throws {
    let facts = Self.facts([Self.port(isActive: true)])
    for finding in Diagnosis(facts).findings {
      #expect(finding.isUsable && finding.advice.isEmpty, "\(finding)")
    }
    let text = Diagnosis(facts).text
    for expected in [
      "rdma: can be used", "mlx5_0 port 1: active, RoCE, MTU 4 KiB", "10.0.0.7 (RoCE v2, index 1)",
      "regions of up to 1 TiB", "any amount",
    ] {
      #expect(text.contains(expected), "\(expected)")
    }
  }

  @Test("No device, one that is down and one that cannot be opened are told with what helps")
  func noDevice() throws {
    let none = try Self.finding(.rdma, Self.facts([]))
    #expect(!none.isUsable && none.advice.contains { $0.contains("rdma_rxe") })
    let down = try Self.finding(.rdma, Self.facts([Self.port(isActive: false)]))
    #expect(!down.isUsable && down.advice.contains { $0.contains("ip link set") })
    var locked = Self.facts([])
    locked.lockedDevices = ["mlx5_0"]
    let closed = try Self.finding(.rdma, locked)
    #expect(!closed.isUsable && closed.advice.contains { $0.contains("/dev/infiniband") })
  }

  @Test("A limit on pinned memory matters where there is a device")
  func pinned() throws {
    var facts = Self.facts([Self.port(isActive: true)])
    facts.lockedMemory = LockedMemory(limit: .mebibytes(8), pinned: .zero, isPrivileged: false)
    #expect(try Self.finding(.rdma, facts).advice.contains { $0.contains("LimitMEMLOCK") })
    facts.lockedMemory = LockedMemory(limit: .mebibytes(8), pinned: .zero, isPrivileged: true)
    #expect(try Self.finding(.rdma, facts).advice.isEmpty)
    facts.lockedMemory = LockedMemory(limit: .mebibytes(8), pinned: .zero, isPrivileged: false)
    facts.devices = []
    #expect(try !Self.finding(.rdma, facts).advice.contains { $0.contains("LimitMEMLOCK") })
  }

  @Test("Base pages and small socket buffers are told with what to set")
  func settings() throws {
    var facts = Self.facts([])
    facts.hugePages = HugePageSettings(reserved: .init(total: 4, free: 0), shmem: "never")
    facts.poolPages = PageReport(kind: .base, huge: .zero, total: .mebibytes(4))
    facts.socketBuffers = SocketBuffers(sending: .mebibytes(1), receiving: .mebibytes(16))
    #expect(
      try Self.finding(.sharedMemory, facts).advice.contains {
        $0.contains(HugePageSettings.shmemPath)
      })
    #expect(try Self.finding(.tcp, facts).advice.contains { $0.contains("tcp_wmem") })
  }
}
