package import ControlProtocol
package import KVCore
package import Verbs

/// Over what an engine's links move KV blocks.
package struct MigrationOptions: Sendable {
  /// Those that links may use; the order is `TransportKind`'s.
  package var transports: [TransportKind]
  /// What data connections prove; nil where the link's salt is secret enough.
  package var clusterKeys: ClusterKeys?
  /// Where data connections are accepted; without any, none are.
  package var dataListeners: [DataListener]
  /// Data connections of one link that this side opens.
  package var lanes: Int
  /// Which entry of a port's table of GIDs RDMA uses; nil for the best.
  package var gidIndex: UInt8?
  /// Of RDMA packets that this side sends: `QueuePair.Path` says what they are.
  package var trafficClass: UInt8
  package var serviceLevel: UInt8
  /// What a device is given as one memory region at most, where it would take more.
  package var registrationBytes: ByteCount
  /// How long a data connection or device may bring nothing, though asked, before another is tried.
  package var progressTimeoutMilliseconds: UInt32
  /// Told what an RDMA device reports; called on a thread of the transport's, and must not block.
  package var onDeviceEvent: @Sendable (_ device: String, DeviceEvent) -> Void

  /// A place where data connections are accepted.
  package struct DataListener: Hashable, Sendable {
    /// A host of this machine.
    package var host: String
    /// 0 takes a free one.
    package var port: UInt16
    /// The host by which others reach it.
    package var advertisedHost: String

    package init(host: String, port: UInt16, advertisedHost: String) {
      self.host = host
      self.port = port
      self.advertisedHost = advertisedHost
    }
  }

  /// How many data connections a link has unless told otherwise.
  package static let defaultLanes = 4
  package static let maximumLanes = 64
  package static let defaultProgressTimeoutMilliseconds: UInt32 = 2_000

  package init(
    transports: [TransportKind] = TransportKind.allCases, clusterKeys: ClusterKeys? = nil,
    dataListeners: [DataListener] = [], lanes: Int = defaultLanes, gidIndex: UInt8? = nil,
    trafficClass: UInt8 = 0, serviceLevel: UInt8 = 0,
    registrationBytes: ByteCount = ByteCount(Int.max),
    progressTimeoutMilliseconds: UInt32 = defaultProgressTimeoutMilliseconds,
    onDeviceEvent: @escaping @Sendable (_ device: String, DeviceEvent) -> Void = { _, _ in }
  ) {
    self.transports = transports
    self.clusterKeys = clusterKeys
    self.dataListeners = dataListeners
    self.lanes = lanes
    self.gidIndex = gidIndex
    self.trafficClass = trafficClass
    self.serviceLevel = serviceLevel
    self.registrationBytes = registrationBytes
    self.progressTimeoutMilliseconds = progressTimeoutMilliseconds
    self.onDeviceEvent = onDeviceEvent
  }
}

extension DeviceEvent {
  /// Whether something that worked works no more.
  package var isLoss: Bool {
    switch self {
    case .portDown, .queuePairFailed, .completionQueueFailed, .deviceFailed: true
    case .portActive, .portChanged, .other: false
    }
  }
}
