import CVerbs

/// What a device reports beside completions (ibv_get_async_event(3)).
package enum DeviceEvent: Hashable, Sendable {
  /// The link of a port is up.
  case portActive(port: UInt8)
  /// The link of a port is down. Its queue pairs stay as they are, and fail by their own timeouts.
  case portDown(port: UInt8)
  /// A port has another LID, other GIDs or partitions, or another subnet manager.
  case portChanged(port: UInt8)
  /// The queue pair of this number is in ERR.
  case queuePairFailed(number: UInt32)
  /// The completion queue of this number has overrun; its queue pairs are lost with it.
  case completionQueueFailed(number: UInt)
  /// The device is gone, or has to be reset: nothing that was made on it works any more.
  case deviceFailed
  /// One that nobody here acts on (enum ibv_event_type).
  case other(type: UInt32)

  /// - Parameters:
  ///   - type: enum ibv_event_type.
  ///   - subject: the number of the port, queue pair or completion queue that it is about.
  package init(type: UInt32, subject: UInt64) {
    let port = UInt8(truncatingIfNeeded: subject)
    switch ibv_event_type(type) {
    case IBV_EVENT_PORT_ACTIVE: self = .portActive(port: port)
    case IBV_EVENT_PORT_ERR: self = .portDown(port: port)
    case IBV_EVENT_LID_CHANGE, IBV_EVENT_PKEY_CHANGE, IBV_EVENT_SM_CHANGE,
      IBV_EVENT_CLIENT_REREGISTER, IBV_EVENT_GID_CHANGE:
      self = .portChanged(port: port)
    case IBV_EVENT_QP_FATAL, IBV_EVENT_QP_REQ_ERR, IBV_EVENT_QP_ACCESS_ERR:
      self = .queuePairFailed(number: UInt32(truncatingIfNeeded: subject))
    case IBV_EVENT_CQ_ERR:
      self = .completionQueueFailed(number: UInt(truncatingIfNeeded: subject))
    case IBV_EVENT_DEVICE_FATAL: self = .deviceFailed
    default: self = .other(type: type)
    }
  }
}
