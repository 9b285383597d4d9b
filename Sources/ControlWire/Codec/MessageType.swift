/// The number of each message on the wire: `baton.v1.MessageType`.
package enum MessageType: UInt16, Sendable, CaseIterable {
  case hello = 1
  case peerInfo = 2
  case proof = 3

  case error = 8
  case cancel = 9
  case acknowledged = 10
  case credit = 11

  case ping = 12
  case pong = 13

  case modelAssetsRequest = 32
  case modelAssetChunk = 33
  case metricsRequest = 34
  case metricsReply = 35

  case prefillRequest = 48
  case prefillAccepted = 49
  case prefillDone = 50
  case decodeRequest = 51
  case generateRequest = 52
  case tokenChunk = 53
  case textRequest = 54
  case textChunk = 55

  case linkPrepare = 64
  case linkOpen = 65
  case linkOpened = 66
  case ticketClaim = 67
  case prefillProgress = 68
  case leaseRenew = 69
  case leaseRelease = 70
  case leaseRecall = 71
  case linkClose = 72
}
