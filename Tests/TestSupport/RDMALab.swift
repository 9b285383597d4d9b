import Foundation

/// Whether tests that need an RDMA device run: in the lab they must find one.
package enum RDMALab {
  /// Set by the lab in its guests.
  package static let isHere = ProcessInfo.processInfo.environment["RDMA_LAB"] == "1"

  /// Whether there is a device, or has to be one.
  package static let runs =
    isHere
    || FileManager.default.fileExists(atPath: "/sys/class/infiniband")
      && (try? FileManager.default.contentsOfDirectory(atPath: "/sys/class/infiniband"))?.isEmpty
        == false

  struct CommandFailed: Error {
    let command: [String]
    let status: Int32
  }

  /// Runs a command of the guest's, whose root the tests are there.
  package static func run(_ command: String...) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw CommandFailed(command: command, status: process.terminationStatus)
    }
  }

  /// The network interface of the guest's device.
  package static var interface: String {
    ProcessInfo.processInfo.environment["INTERFACE"] ?? ""
  }
}
