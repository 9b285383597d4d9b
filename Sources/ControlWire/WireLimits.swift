internal import ControlProtocol

/// The named maximum of every list and text that a message can carry.
///
/// They bound what a peer can make this process hold; `Limits` has those that other layers know.
package enum WireLimits {
  package static let maximumVersions = 16
  package static let maximumFeatures = 64
  package static let maximumAddresses = 16
  /// Names, addresses, ids and the like, in UTF-8.
  package static let maximumTextBytes = 1_024
  /// The sentence of an `Error`; longer ones are cut by the sender.
  package static let maximumErrorTextBytes = 4_096

  /// Of a `TextRequest`, as OpenAI's clients know them.
  package static let maximumStops = 4
  package static let maximumTemperature: Float = 2

  package static let nonceBytes = 32
  /// One code for each key that is valid at the time of a rotation.
  package static let maximumProofCodes = ClusterKeys.maximumKeys
  package static let proofCodeBytes = ClusterKey.codeBytes
  package static let sha256Bytes = 32
  package static let socketTokenBytes = 16
  package static let dataSaltBytes = 32
  package static let gidBytes = 16
  /// Entries of a port's table of GIDs, which a path names by one byte.
  package static let maximumGIDs = 256
  /// Of all devices that one link uses.
  package static let maximumRDMAPorts = 64
  package static let maximumRDMALanes = 64
  /// Parts that a ticket's blocks are READ in.
  package static let maximumRDMAWindows = RDMAWindow.maximumPerTicket
  package static let maximumPathBytes = 4_096
  /// Packet sequence numbers and queue pair numbers have 24 bits.
  package static let maximumSequence = 1 << 24 - 1

  package static let maximumRanks = 1_024
  package static let maximumEndTokens = 1_024
  package static let maximumBlockTokens = 4_096
  package static let maximumCacheGroups = 64
  package static let maximumLayers = 4_096
  package static let maximumKeyValueHeads = 4_096
  package static let maximumHeadDimension = 65_536
  package static let maximumRegions = 1_024
  /// 64 TiB.
  package static let maximumRegionBytes = 1 << 46
  package static let maximumTicketsPerLease = 65_536

  package static let maximumMetricFamilies = 1_024
  package static let maximumSamplesPerFamily = 65_536
  package static let maximumLabelsPerSample = 64

  /// Memory for one message while it is unpacked, for each byte on the wire and in all. A field
  /// of two bytes can stand for a struct and the parser's note of it.
  static let unpackedBytesPerByte = 64
  static let minimumUnpackedBytes = 16 << 10
  static let maximumUnpackedBytes = 64 << 20
}
