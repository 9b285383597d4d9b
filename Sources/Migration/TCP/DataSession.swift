import KVCore
import Platform

/// One data connection of one link, at the owner: sends what is asked for straight from the memory
/// that it lies in, on the connection's own thread.
struct DataSession: ~Copyable {
  private let socket: DataSocket
  private let link: LinkID
  private let regions: [MemoryRegion]
  private let grants: GrantTable
  private var request = WireBuffer(count: DataRequest.maximumBytes)
  /// Bytes in `request`, from the first of a request on, and how many of them are dealt with.
  private var received = 0
  private var used = 0
  private var answer = WireBuffer(count: DataAnswer.byteCount)
  private var parts = MemoryParts(capacity: 1 + MigrationLimits.maximumRequestExtents)
  private var extents: [RegionExtent] = []

  init(socket: DataSocket, link: LinkID, regions: [MemoryRegion], grants: GrantTable) {
    self.socket = socket
    self.link = link
    self.regions = regions
    self.grants = grants
    extents.reserveCapacity(MigrationLimits.maximumRequestExtents)
  }

  /// Answers requests until the connection ends, or one is refused.
  ///
  /// Throws what ended it.
  mutating func serve() throws(BatonError) -> Never {
    while true {
      let head = try receiveRequest()
      do throws(BatonError) {
        try answer(head)
      } catch {
        if error.code == .leaseExpired || error.code == .invalidArgument {
          try refuse(head, error.code)
        }
        throw error
      }
    }
  }

  private mutating func receiveRequest() throws(BatonError) -> DataRequest.Head {
    request.moveToFront(used, upTo: received)
    (used, received) = (0, received - used)
    try receive(atLeast: DataRequest.headBytes)
    let head = try DataRequest.head(in: request)
    let length = DataRequest.byteCount(extents: head.extents)
    try receive(atLeast: length)
    used = length
    extents.removeAll(keepingCapacity: true)
    var bytes = 0
    for place in 0..<head.extents {
      let extent = try DataRequest.extent(at: place, in: request)
      extents.append(extent)
      bytes += extent.length
    }
    guard bytes <= MigrationLimits.maximumRequestBytes else {
      throw BatonError(
        .protocolViolation,
        "a request for \(bytes) bytes; \(MigrationLimits.maximumRequestBytes) are allowed")
    }
    return head
  }

  /// Takes what there is, so that a short request costs one system call.
  private mutating func receive(atLeast wanted: Int) throws(BatonError) {
    while received < wanted {
      received += try socket.socket.receiveSome(
        at: request.address + UInt(received), capacity: request.count - received)
    }
  }

  private mutating func answer(_ head: DataRequest.Head) throws(BatonError) {
    try grants.beginUse(of: head.ticket, link: link, extents: extents)
    // Whatever becomes of the lease, nobody else gets the memory before the last byte is sent.
    defer { grants.endUse(of: head.ticket) }
    DataAnswer.write(number: head.number, code: nil, into: &answer)
    parts.append(address: answer.address, length: DataAnswer.byteCount)
    for extent in extents {
      guard let region = regions.first(where: { $0.key == extent.region }),
        let start = region.sourceAddress, extent.end <= region.length.rawValue
      else {
        throw BatonError(.invalidArgument, "region \(extent.region) has no byte \(extent.end)")
      }
      parts.append(address: start + UInt(extent.offset), length: extent.length)
    }
    try socket.socket.send(&parts)
  }

  private mutating func refuse(_ head: DataRequest.Head, _ code: ErrorCode) throws(BatonError) {
    parts.removeAll()
    DataAnswer.write(number: head.number, code: code, into: &answer)
    parts.append(address: answer.address, length: DataAnswer.byteCount)
    try socket.socket.send(&parts)
  }
}
