internal import CBatonWire
internal import ControlProtocol
internal import KVCore

extension RDMAEndpoint.GlobalID: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__RDMAGID> {
    let wire = unsafe arena.make(baton__v1__rdmagid__init)
    unsafe wire.pointee.gid = arena.bytes(gid)
    unsafe wire.pointee.index = UInt32(index)
    unsafe wire.pointee.type = UInt32(type)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__RDMAGID>) throws(BatonError) {
    self.init(
      gid: try unsafe Field.bytes(
        wire.pointee.gid, "RDMAGID.gid", count: WireLimits.gidBytes),
      index: UInt8(
        try unsafe Field.number(
          wire.pointee.index, "RDMAGID.index", in: 0...WireLimits.maximumGIDs - 1)),
      type: UInt8(try unsafe Field.number(wire.pointee.type, "RDMAGID.type", in: 0...2)))
  }
}

extension RDMAEndpoint.Port: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__RDMAPort> {
    let wire = unsafe arena.make(baton__v1__rdmaport__init)
    unsafe wire.pointee.is_ethernet = isEthernet ? 1 : 0
    unsafe wire.pointee.lid = UInt32(lid)
    unsafe wire.pointee.mtu = mtu
    unsafe (wire.pointee.n_gids, wire.pointee.gids) = arena.list(gids)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__RDMAPort>) throws(BatonError) {
    self.init(
      isEthernet: unsafe wire.pointee.is_ethernet != 0,
      lid: UInt16(try unsafe Field.number(wire.pointee.lid, "RDMAPort.lid", in: 0...0xFFFF)),
      mtu: UInt32(
        try unsafe Field.number(
          wire.pointee.mtu, "RDMAPort.mtu", in: 256...WireLimits.maximumPathBytes)),
      gids: try unsafe Field.list(
        wire.pointee.n_gids, wire.pointee.gids, "RDMAPort.gids",
        maximum: WireLimits.maximumGIDs))
  }
}

extension RDMAEndpoint.Lane: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__RDMALane> {
    let wire = unsafe arena.make(baton__v1__rdmalane__init)
    unsafe wire.pointee.port = UInt32(port)
    unsafe wire.pointee.queue_pair = queuePair
    unsafe wire.pointee.sequence = sequence
    unsafe wire.pointee.reads = UInt32(reads)
    unsafe wire.pointee.own_gid = UInt32(ownGID)
    unsafe wire.pointee.peer_gid = UInt32(peerGID)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__RDMALane>) throws(BatonError) {
    let numbers = 0...WireLimits.maximumSequence
    let gids = 0...WireLimits.maximumGIDs - 1
    self.init(
      port: try unsafe Field.number(
        wire.pointee.port, "RDMALane.port", in: 0...WireLimits.maximumRDMAPorts - 1),
      queuePair: UInt32(
        try unsafe Field.number(wire.pointee.queue_pair, "RDMALane.queue_pair", in: numbers)),
      sequence: UInt32(
        try unsafe Field.number(wire.pointee.sequence, "RDMALane.sequence", in: numbers)),
      reads: try unsafe Field.number(wire.pointee.reads, "RDMALane.reads", in: 1...255),
      ownGID: try unsafe Field.number(wire.pointee.own_gid, "RDMALane.own_gid", in: gids),
      peerGID: try unsafe Field.number(wire.pointee.peer_gid, "RDMALane.peer_gid", in: gids))
  }
}

extension RDMAEndpoint.Region: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__RDMARegion> {
    let wire = unsafe arena.make(baton__v1__rdmaregion__init)
    unsafe wire.pointee.key = key.rawValue
    unsafe wire.pointee.length = UInt64(length.rawValue)
    unsafe wire.pointee.address = address
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__RDMARegion>) throws(BatonError) {
    self.init(
      key: RegionKey(unsafe wire.pointee.key),
      length: try unsafe Field.regionBytes(wire.pointee.length, "RDMARegion.length"),
      address: unsafe wire.pointee.address)
  }
}

extension RDMAEndpoint.Proof: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__RDMAProof> {
    let wire = unsafe arena.make(baton__v1__rdmaproof__init)
    unsafe wire.pointee.address = address
    unsafe (wire.pointee.n_remote_keys, wire.pointee.remote_keys) = arena.array(remoteKeys)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__RDMAProof>) throws(BatonError) {
    self.init(
      address: unsafe wire.pointee.address,
      remoteKeys: try unsafe Field.numbers(
        wire.pointee.n_remote_keys, wire.pointee.remote_keys, "RDMAProof.remote_keys",
        maximum: WireLimits.maximumRDMAPorts))
  }
}

extension RDMAWindow: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__RDMAWindow> {
    let wire = unsafe arena.make(baton__v1__rdmawindow__init)
    unsafe wire.pointee.region = region.rawValue
    unsafe wire.pointee.offset = UInt64(offset.rawValue)
    unsafe wire.pointee.length = UInt64(length.rawValue)
    unsafe (wire.pointee.n_remote_keys, wire.pointee.remote_keys) = arena.array(remoteKeys)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__RDMAWindow>) throws(BatonError) {
    self.init(
      region: RegionKey(unsafe wire.pointee.region),
      offset: try unsafe Field.regionBytes(wire.pointee.offset, "RDMAWindow.offset"),
      length: try unsafe Field.regionBytes(wire.pointee.length, "RDMAWindow.length"),
      remoteKeys: try unsafe Field.numbers(
        wire.pointee.n_remote_keys, wire.pointee.remote_keys, "RDMAWindow.remote_keys",
        maximum: WireLimits.maximumRDMALanes))
  }
}

extension RDMAEndpoint: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__RDMAEndpoint> {
    let wire = unsafe arena.make(baton__v1__rdmaendpoint__init)
    unsafe (wire.pointee.n_ports, wire.pointee.ports) = arena.list(ports)
    unsafe (wire.pointee.n_lanes, wire.pointee.lanes) = arena.list(lanes)
    unsafe (wire.pointee.n_regions, wire.pointee.regions) = arena.list(regions)
    unsafe wire.pointee.proof = proof?.wire(in: arena)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__RDMAEndpoint>) throws(BatonError) {
    self.init(
      ports: try unsafe Field.list(
        wire.pointee.n_ports, wire.pointee.ports, "RDMAEndpoint.ports",
        maximum: WireLimits.maximumRDMAPorts),
      lanes: try unsafe Field.list(
        wire.pointee.n_lanes, wire.pointee.lanes, "RDMAEndpoint.lanes",
        maximum: WireLimits.maximumRDMALanes),
      regions: try unsafe Field.list(
        wire.pointee.n_regions, wire.pointee.regions, "RDMAEndpoint.regions",
        maximum: WireLimits.maximumRegions),
      proof: try unsafe Field.optionalMessage(wire.pointee.proof))
  }
}
