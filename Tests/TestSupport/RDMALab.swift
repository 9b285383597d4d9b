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
}
