internal import CBatonWire
internal import ControlProtocol
internal import KVCore

extension TextRequest: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__TextRequest> {
    let wire = unsafe arena.make(baton__v1__text_request__init)
    unsafe wire.pointee.model = arena.text(model)
    unsafe wire.pointee.prompt = arena.bytes(Array(prompt.utf8))
    if let maximumTokens {
      unsafe wire.pointee.length_case = BATON__V1__TEXT_REQUEST__LENGTH_MAXIMUM_TOKENS
      unsafe wire.pointee.maximum_tokens = maximumTokens
    }
    unsafe wire.pointee.temperature = temperature
    if let seed {
      unsafe wire.pointee.draw_case = BATON__V1__TEXT_REQUEST__DRAW_SEED
      unsafe wire.pointee.seed = seed
    }
    unsafe (wire.pointee.n_stops, wire.pointee.stops) = arena.texts(stops)
    unsafe wire.pointee.ignores_end_tokens = ignoresEndTokens ? 1 : 0
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__TextRequest>) throws(BatonError) {
    let hasLength =
      unsafe wire.pointee.length_case == BATON__V1__TEXT_REQUEST__LENGTH_MAXIMUM_TOKENS
    let maximumTokens = unsafe wire.pointee.maximum_tokens
    guard !hasLength || maximumTokens > 0 else {
      throw BatonError(.invalidArgument, "TextRequest.maximum_tokens is 0, at least 1 is allowed")
    }
    let temperature = unsafe wire.pointee.temperature
    guard (0...WireLimits.maximumTemperature).contains(temperature) else {
      throw BatonError(
        .invalidArgument,
        "TextRequest.temperature is \(temperature), 0 to \(WireLimits.maximumTemperature) are "
          + "allowed")
    }
    let stops = try unsafe Field.texts(
      wire.pointee.n_stops, wire.pointee.stops, "TextRequest.stops",
      maximum: WireLimits.maximumStops)
    guard !stops.contains("") else {
      throw BatonError(.invalidArgument, "TextRequest.stops has an empty text")
    }
    self.init(
      model: try unsafe Field.text(wire.pointee.model, "TextRequest.model"),
      prompt: try unsafe Field.utf8(wire.pointee.prompt, "TextRequest.prompt"),
      maximumTokens: hasLength ? maximumTokens : nil, temperature: temperature,
      seed: unsafe wire.pointee.draw_case == BATON__V1__TEXT_REQUEST__DRAW_SEED
        ? unsafe wire.pointee.seed : nil,
      stops: stops, ignoresEndTokens: unsafe wire.pointee.ignores_end_tokens != 0)
  }
}

extension TextChunk: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__TextChunk> {
    let wire = unsafe arena.make(baton__v1__text_chunk__init)
    unsafe wire.pointee.text = arena.bytes(Array(text.utf8))
    unsafe wire.pointee.ending = ending?.wire(in: arena)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__TextChunk>) throws(BatonError) {
    self.init(
      text: try unsafe Field.utf8(wire.pointee.text, "TextChunk.text"),
      ending: try unsafe Field.optionalMessage(wire.pointee.ending))
  }
}

extension TextChunk.Ending: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__TextEnding> {
    let wire = unsafe arena.make(baton__v1__text_ending__init)
    unsafe wire.pointee.reason = Baton__V1__FinishReason(rawValue: UInt32(reason.rawValue))
    unsafe wire.pointee.prompt_tokens = promptTokens
    unsafe wire.pointee.completion_tokens = completionTokens
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__TextEnding>) throws(BatonError) {
    self.init(
      reason: try unsafe Field.enumeration(wire.pointee.reason.rawValue, "TextEnding.reason"),
      promptTokens: unsafe wire.pointee.prompt_tokens,
      completionTokens: unsafe wire.pointee.completion_tokens)
  }
}
