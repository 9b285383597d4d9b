internal import CBatonWire
internal import ControlProtocol
internal import KVCore

extension SamplingParameters: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__SamplingParameters> {
    let wire = unsafe arena.make(baton__v1__sampling_parameters__init)
    unsafe wire.pointee.temperature = temperature
    unsafe wire.pointee.seed = seed
    unsafe wire.pointee.maximum_tokens = maximumTokens
    unsafe wire.pointee.ignores_end_tokens = ignoresEndTokens ? 1 : 0
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__SamplingParameters>) throws(BatonError) {
    let temperature = unsafe wire.pointee.temperature
    guard temperature.isFinite, temperature >= 0 else {
      throw BatonError(
        .invalidArgument,
        "SamplingParameters.temperature is \(temperature), finite and at least 0 is allowed")
    }
    self.init(
      temperature: temperature, seed: unsafe wire.pointee.seed,
      maximumTokens: unsafe wire.pointee.maximum_tokens,
      ignoresEndTokens: unsafe wire.pointee.ignores_end_tokens != 0)
  }
}

extension PrefillRequest: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__PrefillRequest> {
    let wire = unsafe arena.make(baton__v1__prefill_request__init)
    unsafe wire.pointee.request = arena.text(request.rawValue)
    unsafe wire.pointee.attempt = attempt
    unsafe (wire.pointee.n_tokens, wire.pointee.tokens) = arena.array(tokens)
    unsafe wire.pointee.sampling = sampling.wire(in: arena)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__PrefillRequest>) throws(BatonError) {
    self.init(
      request: try unsafe Field.request(wire.pointee.request, "PrefillRequest.request"),
      attempt: unsafe wire.pointee.attempt,
      tokens: try unsafe Field.tokens(
        wire.pointee.n_tokens, wire.pointee.tokens, "PrefillRequest.tokens"),
      sampling: try unsafe Field.message(wire.pointee.sampling, "PrefillRequest.sampling"))
  }
}

extension GenerateRequest: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__GenerateRequest> {
    let wire = unsafe arena.make(baton__v1__generate_request__init)
    unsafe wire.pointee.request = arena.text(request.rawValue)
    unsafe wire.pointee.attempt = attempt
    unsafe (wire.pointee.n_tokens, wire.pointee.tokens) = arena.array(tokens)
    unsafe wire.pointee.sampling = sampling.wire(in: arena)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__GenerateRequest>) throws(BatonError) {
    self.init(
      request: try unsafe Field.request(wire.pointee.request, "GenerateRequest.request"),
      attempt: unsafe wire.pointee.attempt,
      tokens: try unsafe Field.tokens(
        wire.pointee.n_tokens, wire.pointee.tokens, "GenerateRequest.tokens"),
      sampling: try unsafe Field.message(wire.pointee.sampling, "GenerateRequest.sampling"))
  }
}

extension DecodeRequest: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__DecodeRequest> {
    let wire = unsafe arena.make(baton__v1__decode_request__init)
    unsafe wire.pointee.request = arena.text(request.rawValue)
    unsafe wire.pointee.attempt = attempt
    unsafe wire.pointee.ticket = ticket.wire(in: arena)
    unsafe wire.pointee.sampling = sampling.wire(in: arena)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__DecodeRequest>) throws(BatonError) {
    self.init(
      request: try unsafe Field.request(wire.pointee.request, "DecodeRequest.request"),
      attempt: unsafe wire.pointee.attempt,
      ticket: try unsafe Field.message(wire.pointee.ticket, "DecodeRequest.ticket"),
      sampling: try unsafe Field.message(wire.pointee.sampling, "DecodeRequest.sampling"))
  }
}

extension PrefillDone: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__PrefillDone> {
    let wire = unsafe arena.make(baton__v1__prefill_done__init)
    if let firstToken {
      unsafe wire.pointee.first_case = BATON__V1__PREFILL_DONE__FIRST_FIRST_TOKEN
      unsafe wire.pointee.first_token = firstToken
    }
    unsafe wire.pointee.finish = Baton__V1__FinishReason(rawValue: UInt32(finish?.rawValue ?? 0))
    unsafe wire.pointee.queued_microseconds = queuedMicroseconds
    unsafe wire.pointee.computed_microseconds = computedMicroseconds
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__PrefillDone>) throws(BatonError) {
    var firstToken: TokenID?
    if unsafe wire.pointee.first_case == BATON__V1__PREFILL_DONE__FIRST_FIRST_TOKEN {
      firstToken = unsafe wire.pointee.first_token
    }
    if let firstToken, firstToken < 0 {
      throw BatonError(.invalidArgument, "PrefillDone.first_token is \(firstToken)")
    }
    self.init(
      firstToken: firstToken,
      finish: try unsafe Field.optionalEnumeration(
        wire.pointee.finish.rawValue, "PrefillDone.finish"),
      queuedMicroseconds: unsafe wire.pointee.queued_microseconds,
      computedMicroseconds: unsafe wire.pointee.computed_microseconds)
  }
}

extension TokenChunk: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__TokenChunk> {
    let wire = unsafe arena.make(baton__v1__token_chunk__init)
    unsafe wire.pointee.first_index = firstIndex
    unsafe (wire.pointee.n_tokens, wire.pointee.tokens) = arena.array(tokens)
    unsafe wire.pointee.finish = Baton__V1__FinishReason(rawValue: UInt32(finish?.rawValue ?? 0))
    unsafe wire.pointee.migration = migration?.wire(in: arena)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__TokenChunk>) throws(BatonError) {
    self.init(
      firstIndex: unsafe wire.pointee.first_index,
      tokens: try unsafe Field.tokens(
        wire.pointee.n_tokens, wire.pointee.tokens, "TokenChunk.tokens"),
      finish: try unsafe Field.optionalEnumeration(
        wire.pointee.finish.rawValue, "TokenChunk.finish"),
      migration: try unsafe Field.optionalMessage(wire.pointee.migration))
  }
}

extension MigrationReport: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__MigrationReport> {
    let wire = unsafe arena.make(baton__v1__migration_report__init)
    unsafe wire.pointee.transport = arena.text(transport)
    unsafe wire.pointee.mode = arena.text(mode)
    unsafe wire.pointee.blocks = blocks
    unsafe wire.pointee.bytes = bytes
    unsafe wire.pointee.microseconds = microseconds
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__MigrationReport>) throws(BatonError) {
    self.init(
      transport: try unsafe Field.text(wire.pointee.transport, "MigrationReport.transport"),
      mode: try unsafe Field.text(wire.pointee.mode, "MigrationReport.mode"),
      blocks: unsafe wire.pointee.blocks, bytes: unsafe wire.pointee.bytes,
      microseconds: unsafe wire.pointee.microseconds)
  }
}
