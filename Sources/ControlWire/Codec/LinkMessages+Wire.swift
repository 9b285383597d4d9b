internal import CBatonWire
internal import ControlProtocol
internal import KVCore

extension LinkPrepare: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__LinkPrepare> {
    let wire = unsafe arena.make(baton__v1__link_prepare__init)
    unsafe wire.pointee.engine = arena.text(engine.name)
    unsafe (wire.pointee.n_addresses, wire.pointee.addresses) = arena.texts(addresses)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__LinkPrepare>) throws(BatonError) {
    self.init(
      engine: try unsafe Field.engine(wire.pointee.engine, "LinkPrepare.engine"),
      addresses: try unsafe Field.texts(
        wire.pointee.n_addresses, wire.pointee.addresses, "LinkPrepare.addresses",
        maximum: WireLimits.maximumAddresses))
  }
}

extension RegionInfo: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__RegionInfo> {
    let wire = unsafe arena.make(baton__v1__region_info__init)
    unsafe wire.pointee.key = key.rawValue
    unsafe wire.pointee.length = UInt64(length.rawValue)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__RegionInfo>) throws(BatonError) {
    self.init(
      key: RegionKey(unsafe wire.pointee.key),
      length: try unsafe Field.regionBytes(wire.pointee.length, "RegionInfo.length"))
  }
}

extension SharedMemoryEndpoint: @unsafe WireConvertible {
  func wire(
    in arena: borrowing WireArena
  ) -> UnsafeMutablePointer<Baton__V1__SharedMemoryEndpoint> {
    let wire = unsafe arena.make(baton__v1__shared_memory_endpoint__init)
    unsafe wire.pointee.socket_name = arena.text(socketName)
    unsafe wire.pointee.token = arena.bytes(token)
    unsafe (wire.pointee.n_regions, wire.pointee.regions) = arena.list(regions)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__SharedMemoryEndpoint>) throws(BatonError) {
    let socketName = try unsafe Field.text(
      wire.pointee.socket_name, "SharedMemoryEndpoint.socket_name")
    let token = try unsafe Field.bytes(
      wire.pointee.token, "SharedMemoryEndpoint.token",
      count: socketName.isEmpty ? 0 : WireLimits.socketTokenBytes)
    self.init(
      socketName: socketName, token: token,
      regions: try unsafe Field.list(
        wire.pointee.n_regions, wire.pointee.regions, "SharedMemoryEndpoint.regions",
        maximum: WireLimits.maximumRegions))
  }
}

extension TCPEndpoint: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__TCPEndpoint> {
    let wire = unsafe arena.make(baton__v1__tcpendpoint__init)
    unsafe (wire.pointee.n_addresses, wire.pointee.addresses) = arena.texts(addresses)
    unsafe wire.pointee.salt = arena.bytes(salt)
    unsafe (wire.pointee.n_regions, wire.pointee.regions) = arena.list(regions)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__TCPEndpoint>) throws(BatonError) {
    let addresses = try unsafe Field.texts(
      wire.pointee.n_addresses, wire.pointee.addresses, "TCPEndpoint.addresses",
      maximum: WireLimits.maximumAddresses)
    self.init(
      addresses: addresses,
      salt: try unsafe Field.bytes(
        wire.pointee.salt, "TCPEndpoint.salt",
        count: addresses.isEmpty ? 0 : WireLimits.dataSaltBytes),
      regions: try unsafe Field.list(
        wire.pointee.n_regions, wire.pointee.regions, "TCPEndpoint.regions",
        maximum: WireLimits.maximumRegions))
  }
}

extension EndpointInfo: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__EndpointInfo> {
    let wire = unsafe arena.make(baton__v1__endpoint_info__init)
    unsafe wire.pointee.shared_memory = sharedMemory?.wire(in: arena)
    unsafe wire.pointee.rdma = rdma?.wire(in: arena)
    unsafe wire.pointee.tcp = tcp?.wire(in: arena)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__EndpointInfo>) throws(BatonError) {
    self.init(
      sharedMemory: try unsafe Field.optionalMessage(wire.pointee.shared_memory),
      rdma: try unsafe Field.optionalMessage(wire.pointee.rdma),
      tcp: try unsafe Field.optionalMessage(wire.pointee.tcp))
  }
}

extension LinkOpen: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__LinkOpen> {
    let wire = unsafe arena.make(baton__v1__link_open__init)
    unsafe wire.pointee.link = link.rawValue
    unsafe (wire.pointee.n_endpoints, wire.pointee.endpoints) = arena.list(endpoints)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__LinkOpen>) throws(BatonError) {
    self.init(
      link: LinkID(unsafe wire.pointee.link),
      endpoints: try unsafe Field.list(
        wire.pointee.n_endpoints, wire.pointee.endpoints, "LinkOpen.endpoints",
        maximum: WireLimits.maximumRanks))
  }
}

extension LinkOpened: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__LinkOpened> {
    let wire = unsafe arena.make(baton__v1__link_opened__init)
    unsafe (wire.pointee.n_endpoints, wire.pointee.endpoints) = arena.list(endpoints)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__LinkOpened>) throws(BatonError) {
    self.init(
      endpoints: try unsafe Field.list(
        wire.pointee.n_endpoints, wire.pointee.endpoints, "LinkOpened.endpoints",
        maximum: WireLimits.maximumRanks))
  }
}

extension LinkClose: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__LinkClose> {
    let wire = unsafe arena.make(baton__v1__link_close__init)
    unsafe wire.pointee.link = link.rawValue
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__LinkClose>) throws(BatonError) {
    self.init(link: LinkID(unsafe wire.pointee.link))
  }
}

extension TicketClaim: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__TicketClaim> {
    let wire = unsafe arena.make(baton__v1__ticket_claim__init)
    unsafe wire.pointee.ticket = ticket.wire(in: arena)
    unsafe wire.pointee.link = link.rawValue
    unsafe wire.pointee.attempt = attempt
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__TicketClaim>) throws(BatonError) {
    self.init(
      ticket: try unsafe Field.message(wire.pointee.ticket, "TicketClaim.ticket"),
      link: LinkID(unsafe wire.pointee.link), attempt: unsafe wire.pointee.attempt)
  }
}

extension PrefillProgress: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__PrefillProgress> {
    precondition(stamps.count == checksums.count, "each block has a stamp and a checksum")
    let wire = unsafe arena.make(baton__v1__prefill_progress__init)
    unsafe wire.pointee.first_block = firstBlock
    unsafe wire.pointee.completion = completion?.wire(in: arena)
    unsafe (wire.pointee.n_checksums, wire.pointee.checksums) = arena.array(checksums)
    let list = StampRuns(stamps)
    unsafe wire.pointee.first_stamp = list.first
    unsafe (wire.pointee.n_stamp_runs, wire.pointee.stamp_runs) = arena.array(list.runs)
    unsafe (wire.pointee.n_stamp_jumps, wire.pointee.stamp_jumps) = arena.array(list.jumps)
    unsafe (wire.pointee.n_windows, wire.pointee.windows) = arena.list(windows)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__PrefillProgress>) throws(BatonError) {
    let checksums = try unsafe Field.numbers(
      wire.pointee.n_checksums, wire.pointee.checksums, "PrefillProgress.checksums",
      maximum: Limits.maximumProgressBlocks)
    let stamps = try unsafe StampRuns.stamps(
      of: checksums, first: wire.pointee.first_stamp,
      runs: UnsafeBufferPointer(
        start: wire.pointee.stamp_runs, count: wire.pointee.n_stamp_runs),
      jumps: UnsafeBufferPointer(
        start: wire.pointee.stamp_jumps, count: wire.pointee.n_stamp_jumps))
    self.init(
      firstBlock: unsafe wire.pointee.first_block, stamps: stamps, checksums: checksums,
      completion: try unsafe Field.optionalMessage(wire.pointee.completion),
      windows: try unsafe Field.list(
        wire.pointee.n_windows, wire.pointee.windows, "PrefillProgress.windows",
        maximum: WireLimits.maximumRDMAWindows))
  }
}
