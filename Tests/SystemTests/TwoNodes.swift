import Foundation
import Testing

/// Two nodes as far as processes can tell: network namespaces with a network between them and
/// nothing else in common. Abstract Unix sockets belong to a namespace, too.
final class TwoNodes: Sendable {
  /// A node's place in the network.
  enum Node: Int, CaseIterable, Sendable {
    case first = 1
    case second = 2

    var address: String { "10.78.0.\(rawValue)" }
  }

  private let tag = String(UInt32.random(in: 0 ... .max), radix: 16)

  /// Why there can be none here; nil if they can be had.
  static let obstacle: String? = {
    guard let ip = tool else { return "there is no ip (iproute2)" }
    let name = "baton-probe-\(ProcessInfo.processInfo.processIdentifier)"
    guard run(ip, ["netns", "add", name]) == 0 else {
      return "network namespaces cannot be made, which takes root"
    }
    _ = run(ip, ["netns", "del", name])
    return nil
  }()

  private static let tool = ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"]
    .first(where: FileManager.default.isExecutableFile)

  init() throws {
    for node in Node.allCases { try ip(["netns", "add", name(of: node)]) }
    let ends = Node.allCases.map { "b\($0.rawValue)-\(tag)" }
    try ip(
      ["link", "add", ends[0], "netns", name(of: .first), "type", "veth", "peer"]
        + ["name", ends[1], "netns", name(of: .second)])
    for (node, end) in zip(Node.allCases, ends) {
      let inside = ["-n", name(of: node)]
      try ip(inside + ["address", "add", "\(node.address)/24", "dev", end])
      try ip(inside + ["link", "set", end, "up"])
      try ip(inside + ["link", "set", "lo", "up"])
    }
  }

  deinit {
    for node in Node.allCases { try? ip(["netns", "del", name(of: node)]) }
  }

  /// Starts a program on a node.
  func start(on node: Node, _ program: String, _ arguments: [String]) throws -> ChildProcess {
    // `ip netns exec` becomes the program: its process id is the program's.
    try ChildProcess(
      Self.tool ?? "ip", ["netns", "exec", name(of: node), program] + arguments)
  }

  /// Starts an engine on a node and waits until it serves.
  func engine(
    _ role: String, _ name: String, on node: Node, port: Int, _ flags: [String]
  ) async throws -> ChildProcess {
    let process = try start(
      on: node, RunningFleet.baton,
      [role, "--name", name, "--listen", "\(node.address):\(port)", "--threads", "1"] + flags)
    try await process.wait(for: "serving")
    return process
  }

  /// Takes the network between the nodes away.
  func cut() throws { try ip(["-n", name(of: .first), "link", "set", "b1-\(tag)", "down"]) }

  private func name(of node: Node) -> String { "baton-\(tag)-\(node.rawValue)" }

  private func ip(_ arguments: [String]) throws {
    guard let tool = Self.tool, Self.run(tool, arguments) == 0 else {
      throw OutputEnded(lines: ["ip \(arguments.joined(separator: " ")) failed"])
    }
  }

  private static func run(_ path: String, _ arguments: [String]) -> Int32 {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return -1 }
    process.waitUntilExit()
    return process.terminationStatus
  }
}
