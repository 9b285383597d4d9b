package import KVCore
import Platform
import Verbs

/// Which transports this machine would give, what is in their way, and what to do about it.
package struct Diagnosis: Hashable, Sendable {
  package struct Finding: Hashable, Sendable {
    package let transport: TransportKind
    package let isUsable: Bool
    /// What is there.
    package let facts: [String]
    /// What is wrong, with the command that mends it.
    package let advice: [String]
  }

  /// One for each transport, in their order.
  package let findings: [Finding]

  package init(_ facts: MachineFacts) {
    findings = TransportKind.allCases.map { kind in
      switch kind {
      case .sharedMemory: Self.sharedMemory(facts)
      case .rdma: Self.rdma(facts)
      case .tcp: Self.tcp(facts)
      }
    }
  }

  private static func sharedMemory(_ facts: MachineFacts) -> Finding {
    let pages = facts.hugePages
    var said = ["available memory \(facts.availableMemory)"]
    if let reserved = pages.reserved {
      said.append("reserved huge pages of 2 MiB: \(reserved.total), free \(reserved.free)")
    }
    if let shmem = pages.shmem { said.append("transparent huge pages for shared memory: \(shmem)") }
    guard let sample = facts.poolPages else {
      return Finding(
        transport: .sharedMemory, isUsable: false, facts: said,
        advice: ["shared memory cannot be made: memfd_create(2) and 4 MiB of memory are needed"])
    }
    said.append("a pool of 4 MiB lies on: \(sample)")
    let advice = sample.advice(on: pages).map {
      "pools are not all on huge pages, which copies and restarts are faster on: \($0)"
    }
    return Finding(
      transport: .sharedMemory, isUsable: true, facts: said,
      advice: advice.map { [$0] } ?? [])
  }

  private static func rdma(_ facts: MachineFacts) -> Finding {
    var said: [String] = []
    var advice: [String] = []
    var activePorts = 0
    for device in facts.devices {
      let limits = device.limits
      said.append(
        "\(device.name): regions of \(length(limits.regionBytes)), "
          + "\(limits.requests) requests a queue pair, \(limits.outgoingReads) READs at once, "
          + "memory windows \(limits.hasWindows ? "of type 2B" : "none")")
      for port in device.ports {
        let kind = port.isEthernet ? "RoCE" : "InfiniBand, LID \(port.lid)"
        said.append(
          "\(device.name) port \(port.number): \(port.isActive ? "active" : "down"), \(kind), MTU "
            + "\(port.mtu)")
        said += port.gids.map { "\(device.name) port \(port.number) GID: \($0)" }
        if port.isActive {
          activePorts += 1
        } else {
          advice.append(
            "\(device.name) port \(port.number) is down: `rdma link show` names its interface, "
              + "`ip link set INTERFACE up` brings it up")
        }
      }
    }
    for name in facts.lockedDevices {
      advice.append(
        "\(name) cannot be opened: read and write access to /dev/infiniband/uverbs* is needed, "
          + "`chmod 666 /dev/infiniband/uverbs*` gives it to everybody")
    }
    if facts.devices.isEmpty, facts.lockedDevices.isEmpty {
      said.append("no RDMA device")
      advice.append(
        "without a device tcp is used; on any network Soft-RoCE gives one to try with: "
          + "`modprobe rdma_rxe && rdma link add rxe0 type rxe netdev INTERFACE`")
    }
    let locked = facts.lockedMemory
    let most = locked.isPrivileged ? nil : locked.limit
    said.append("memory that may be pinned: \(most.map(\.description) ?? "any amount")")
    if activePorts > 0, let raise = locked.advice(for: facts.availableMemory) {
      advice.append("large pools cannot be pinned for devices: \(raise)")
    }
    return Finding(transport: .rdma, isUsable: activePorts > 0, facts: said, advice: advice)
  }

  private static func length(_ bytes: UInt64) -> String {
    // Devices say that there is no limit by one of the largest numbers there are.
    bytes >> 60 > 0 ? "any length" : "up to \(ByteCount(Int(bytes)))"
  }

  private static func tcp(_ facts: MachineFacts) -> Finding {
    guard let buffers = facts.socketBuffers else {
      return Finding(
        transport: .tcp, isUsable: true, facts: ["socket buffers are not known"], advice: [])
    }
    // What 100 Gbit/s have on their way in a millisecond would be 12 MiB; 4 lanes share that.
    let wanted = ByteCount.mebibytes(4)
    let isSmall = min(buffers.sending, buffers.receiving) < wanted
    return Finding(
      transport: .tcp, isUsable: true,
      facts: [
        "socket buffers up to \(buffers.sending) for sending, \(buffers.receiving) for receiving"
      ],
      advice: isSmall
        ? [
          "fast networks with long ways need larger ones: "
            + "`sysctl -w net.ipv4.tcp_wmem='4096 65536 16777216' "
            + "net.ipv4.tcp_rmem='4096 131072 16777216'`"
        ] : [])
  }

  /// For people.
  package var text: String {
    findings.map { finding in
      ([
        "\(finding.transport): \(finding.isUsable ? "can be used" : "cannot be used")"
      ] + finding.facts.map { "  \($0)" } + finding.advice.map { "  ! \($0)" })
      .joined(separator: "\n")
    }.joined(separator: "\n")
  }
}
