internal import CBatonWire
package import ControlProtocol
package import KVCore

/// Messages to payloads and back, through protobuf-c.
package enum MessageCodec {
  /// The message in the structs of protobuf-c, for `FrameEncoder` to write into frames.
  static func pack(_ message: Message) -> PackedMessage {
    switch message {
    case .tokenChunk(let value): unsafe PackedMessage(.tokenChunk, value)
    case .prefillProgress(let value): unsafe PackedMessage(.prefillProgress, value)
    case .hello(let value): unsafe PackedMessage(.hello, value)
    case .proof(let value): unsafe PackedMessage(.proof, value)
    case .peerInfo(let value): unsafe PackedMessage(.peerInfo, value)
    case .error(let value): unsafe PackedMessage(.error, value)
    case .cancel: PackedMessage(.cancel)
    case .acknowledged: PackedMessage(.acknowledged)
    case .credit(let bytes): unsafe PackedMessage(.credit, Credit(bytes: bytes))
    case .ping(let number): unsafe PackedMessage(.ping, Ping(number: number))
    case .pong(let number): unsafe PackedMessage(.pong, Pong(number: number))
    case .modelAssetsRequest: PackedMessage(.modelAssetsRequest)
    case .modelAssetChunk(let value): unsafe PackedMessage(.modelAssetChunk, value)
    case .metricsRequest: PackedMessage(.metricsRequest)
    case .metricsReply(let value):
      unsafe PackedMessage(.metricsReply, MetricsReply(families: value))
    case .prefillRequest(let value): unsafe PackedMessage(.prefillRequest, value)
    case .prefillAccepted(let value):
      unsafe PackedMessage(.prefillAccepted, PrefillAccepted(ticket: value))
    case .prefillDone(let value): unsafe PackedMessage(.prefillDone, value)
    case .decodeRequest(let value): unsafe PackedMessage(.decodeRequest, value)
    case .generateRequest(let value): unsafe PackedMessage(.generateRequest, value)
    case .textRequest(let value): unsafe PackedMessage(.textRequest, value)
    case .textChunk(let value): unsafe PackedMessage(.textChunk, value)
    case .linkPrepare(let value): unsafe PackedMessage(.linkPrepare, value)
    case .linkOpen(let value): unsafe PackedMessage(.linkOpen, value)
    case .linkOpened(let value): unsafe PackedMessage(.linkOpened, value)
    case .ticketClaim(let value): unsafe PackedMessage(.ticketClaim, value)
    case .leaseRenew(let value): unsafe PackedMessage(.leaseRenew, LeaseRenewal(lease: value))
    case .leaseRelease(let value): unsafe PackedMessage(.leaseRelease, value)
    case .leaseRecall(let value): unsafe PackedMessage(.leaseRecall, LeaseRecall(lease: value))
    case .linkClose(let value): unsafe PackedMessage(.linkClose, value)
    }
  }

  /// The payload of a message, before it is cut or compressed.
  package static func payload(of message: Message) -> [UInt8] {
    let packed = pack(message)
    return unsafe [UInt8](unsafeUninitializedCapacity: packed.byteCount) { buffer, initialised in
      unsafe packed.write(to: UnsafeMutableRawBufferPointer(buffer))
      initialised = packed.byteCount
    }
  }

  /// The message that a payload of this type says.
  ///
  /// Throws `unimplemented` for a type that is not known here, `malformedFrame` for bytes that are
  /// not the type's protobuf message, and `invalidArgument`, naming the field, for a value that is
  /// not allowed in it.
  package static func decode(type: UInt16, payload: Span<UInt8>) throws(BatonError) -> Message {
    guard let type = MessageType(rawValue: type) else {
      throw BatonError(.unimplemented, "message type \(type) is not known here")
    }
    switch type {
    case .tokenChunk:
      return .tokenChunk(try unsafe unpack(type, payload, baton__v1__token_chunk__unpack))
    case .prefillProgress:
      return .prefillProgress(
        try unsafe unpack(type, payload, baton__v1__prefill_progress__unpack))
    case .hello:
      return .hello(try unsafe unpack(type, payload, baton__v1__hello__unpack))
    case .proof:
      return .proof(try unsafe unpack(type, payload, baton__v1__proof__unpack))
    case .peerInfo:
      return .peerInfo(try unsafe unpack(type, payload, baton__v1__peer_info__unpack))
    case .error:
      return .error(try unsafe unpack(type, payload, baton__v1__error__unpack))
    case .cancel: return .cancel
    case .acknowledged: return .acknowledged
    case .credit:
      let credit: Credit = try unsafe unpack(type, payload, baton__v1__credit__unpack)
      return .credit(credit.bytes)
    case .ping:
      let ping: Ping = try unsafe unpack(type, payload, baton__v1__ping__unpack)
      return .ping(ping.number)
    case .pong:
      let pong: Pong = try unsafe unpack(type, payload, baton__v1__pong__unpack)
      return .pong(pong.number)
    case .modelAssetsRequest: return .modelAssetsRequest
    case .metricsRequest: return .metricsRequest
    case .modelAssetChunk:
      return .modelAssetChunk(
        try unsafe unpack(type, payload, baton__v1__model_asset_chunk__unpack))
    case .metricsReply:
      let reply: MetricsReply = try unsafe unpack(
        type, payload, baton__v1__metrics_reply__unpack)
      return .metricsReply(reply.families)
    case .prefillRequest, .prefillAccepted, .prefillDone, .decodeRequest, .generateRequest,
      .textRequest, .textChunk:
      return try decodeRequest(type, payload)
    case .linkPrepare, .linkOpen, .linkOpened, .ticketClaim, .leaseRenew, .leaseRelease,
      .leaseRecall, .linkClose:
      return try decodeLink(type, payload)
    }
  }

  private static func decodeRequest(
    _ type: MessageType, _ payload: Span<UInt8>
  ) throws(BatonError) -> Message {
    switch type {
    case .prefillRequest:
      return .prefillRequest(
        try unsafe unpack(type, payload, baton__v1__prefill_request__unpack))
    case .prefillAccepted:
      let accepted: PrefillAccepted = try unsafe unpack(
        type, payload, baton__v1__prefill_accepted__unpack)
      return .prefillAccepted(accepted.ticket)
    case .prefillDone:
      return .prefillDone(try unsafe unpack(type, payload, baton__v1__prefill_done__unpack))
    case .decodeRequest:
      return .decodeRequest(try unsafe unpack(type, payload, baton__v1__decode_request__unpack))
    case .generateRequest:
      return .generateRequest(
        try unsafe unpack(type, payload, baton__v1__generate_request__unpack))
    case .textRequest:
      return .textRequest(try unsafe unpack(type, payload, baton__v1__text_request__unpack))
    case .textChunk:
      return .textChunk(try unsafe unpack(type, payload, baton__v1__text_chunk__unpack))
    default: preconditionFailure("\(type) is not a message of a request")
    }
  }

  private static func decodeLink(
    _ type: MessageType, _ payload: Span<UInt8>
  ) throws(BatonError) -> Message {
    switch type {
    case .linkPrepare:
      return .linkPrepare(try unsafe unpack(type, payload, baton__v1__link_prepare__unpack))
    case .linkOpen:
      return .linkOpen(try unsafe unpack(type, payload, baton__v1__link_open__unpack))
    case .linkOpened:
      return .linkOpened(try unsafe unpack(type, payload, baton__v1__link_opened__unpack))
    case .ticketClaim:
      return .ticketClaim(try unsafe unpack(type, payload, baton__v1__ticket_claim__unpack))
    case .leaseRenew:
      let renewal: LeaseRenewal = try unsafe unpack(
        type, payload, baton__v1__lease_renew__unpack)
      return .leaseRenew(renewal.lease)
    case .leaseRelease:
      return .leaseRelease(try unsafe unpack(type, payload, baton__v1__lease_release__unpack))
    case .leaseRecall:
      let recall: LeaseRecall = try unsafe unpack(
        type, payload, baton__v1__lease_recall__unpack)
      return .leaseRecall(recall.lease)
    case .linkClose:
      return .linkClose(try unsafe unpack(type, payload, baton__v1__link_close__unpack))
    default: preconditionFailure("\(type) is not a message of a link")
    }
  }

  /// A generated function that unpacks one kind of message.
  private typealias Unpack<Wire> = (
    UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?
  ) -> UnsafeMutablePointer<Wire>?

  private static func unpack<Value: WireConvertible>(
    _ type: MessageType, _ payload: Span<UInt8>, _ unpack: Unpack<Value.Wire>
  ) throws(BatonError) -> Value {
    let arena = WireArena(unpacking: payload.count)
    let wire = unsafe payload.withUnsafeBytes { bytes in
      unsafe unpack(
        arena.allocator, bytes.count, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self))
    }
    guard let wire = unsafe wire else {
      throw BatonError(
        .malformedFrame, "a \(type) of \(payload.count) bytes is not that protobuf message")
    }
    return try unsafe Value(wire: wire)
  }
}
