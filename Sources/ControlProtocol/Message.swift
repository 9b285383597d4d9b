package import KVCore

/// Everything that travels on a control connection, as Swift values.
///
/// `Protocols/README.md` says who sends what when; the numbers are `baton.v1.MessageType`'s.
package enum Message: Hashable, Sendable {
  case hello(Hello)
  case proof(Proof)
  case peerInfo(PeerInfo)
  case error(BatonError)
  /// Ends the stream that it is sent on, in both directions.
  case cancel
  case acknowledged
  /// More room for answers on the stream that it is sent on, in bytes as `StreamCredit` counts.
  case credit(UInt32)
  /// Answered by `pong` with the same number, whatever else is going on.
  case ping(UInt64)
  case pong(UInt64)

  /// Answered by a stream of `modelAssetChunk`.
  case modelAssetsRequest
  case modelAssetChunk(ModelAssetChunk)
  /// Answered by `metricsReply`.
  case metricsRequest
  case metricsReply([MetricFamily])

  case prefillRequest(PrefillRequest)
  case prefillAccepted(Ticket)
  case prefillDone(PrefillDone)
  case decodeRequest(DecodeRequest)
  case generateRequest(GenerateRequest)
  case tokenChunk(TokenChunk)
  case textRequest(TextRequest)
  case textChunk(TextChunk)

  case linkPrepare(LinkPrepare)
  case linkOpen(LinkOpen)
  case linkOpened(LinkOpened)
  case ticketClaim(TicketClaim)
  case prefillProgress(PrefillProgress)
  case leaseRenew(LeaseTickets)
  case leaseRelease(LeaseTickets)
  case leaseRecall(LeaseTickets)
  case linkClose(LinkClose)
}
