package import KVCore

/// Queue pairs of reliable connections, by which the side that reads READs.
package struct RDMAEndpoint: Hashable, Sendable {
  /// A port of a device.
  package struct Port: Hashable, Sendable {
    /// Reached by GID (RoCE); otherwise by LID.
    package var isEthernet: Bool
    package var lid: UInt16
    /// Bytes of a packet's payload at most.
    package var mtu: UInt32
    package var gids: [GlobalID]

    package init(isEthernet: Bool, lid: UInt16, mtu: UInt32, gids: [GlobalID]) {
      self.isEthernet = isEthernet
      self.lid = lid
      self.mtu = mtu
      self.gids = gids
    }
  }

  package struct GlobalID: Hashable, Sendable {
    /// 16 bytes.
    package var gid: [UInt8]
    /// Its place in the port's table.
    package var index: UInt8
    /// enum ibv_gid_type: 0 InfiniBand, 1 RoCE v1, 2 RoCE v2.
    package var type: UInt8

    package init(gid: [UInt8], index: UInt8, type: UInt8) {
      self.gid = gid
      self.index = index
      self.type = type
    }
  }

  /// One queue pair.
  package struct Lane: Hashable, Sendable {
    /// Its place in `ports`.
    package var port: Int
    package var queuePair: UInt32
    /// Its first packet sequence number, 24 bits.
    package var sequence: UInt32
    /// READs that it has on their way, or answers, at once.
    package var reads: Int
    /// In the owner's answer: the places in the ports' lists of GIDs by which both ends reach each
    /// other; the owner's own is the first.
    package var ownGID: Int
    package var peerGID: Int

    package init(
      port: Int, queuePair: UInt32, sequence: UInt32, reads: Int, ownGID: Int = 0, peerGID: Int = 0
    ) {
      self.port = port
      self.queuePair = queuePair
      self.sequence = sequence
      self.reads = reads
      self.ownGID = ownGID
      self.peerGID = peerGID
    }
  }

  package struct Region: Hashable, Sendable {
    package var key: RegionKey
    package var length: ByteCount
    /// Where it begins for READs.
    package var address: UInt64

    package init(key: RegionKey, length: ByteCount, address: UInt64) {
      self.key = key
      self.length = length
      self.address = address
    }
  }

  /// Memory of the owner that every lane may READ, to see whether it reaches the owner.
  package struct Proof: Hashable, Sendable {
    package var address: UInt64
    /// The remote key on the device of each port.
    package var remoteKeys: [UInt32]

    package static let byteCount = 64

    package init(address: UInt64, remoteKeys: [UInt32]) {
      self.address = address
      self.remoteKeys = remoteKeys
    }
  }

  package var ports: [Port]
  package var lanes: [Lane]
  /// Of the owner; none where nothing is offered.
  package var regions: [Region]
  /// Of the owner.
  package var proof: Proof?

  package init(ports: [Port], lanes: [Lane], regions: [Region] = [], proof: Proof? = nil) {
    self.ports = ports
    self.lanes = lanes
    self.regions = regions
    self.proof = proof
  }
}

/// A part of a region that may be READ under a ticket.
package struct RDMAWindow: Hashable, Sendable {
  package var region: RegionKey
  package var offset: ByteCount
  package var length: ByteCount
  /// The remote key on each of the link's lanes.
  package var remoteKeys: [UInt32]

  /// Of one ticket: no more than one chain of requests binds on a lane.
  package static let maximumPerTicket = 64

  package init(region: RegionKey, offset: ByteCount, length: ByteCount, remoteKeys: [UInt32]) {
    self.region = region
    self.offset = offset
    self.length = length
    self.remoteKeys = remoteKeys
  }
}
