internal import CBatonWire
internal import ControlProtocol
internal import KVCore

extension BatonError: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__Error> {
    let wire = unsafe arena.make(baton__v1__error__init)
    unsafe wire.pointee.code = Baton__V1__ErrorCode(rawValue: UInt32(code.rawValue))
    unsafe wire.pointee.message = arena.text(
      Self.cut(message, toBytes: WireLimits.maximumErrorTextBytes))
    unsafe wire.pointee.retryable = isRetryable ? 1 : 0
    if let retryAfterMilliseconds {
      unsafe wire.pointee.retry_after_case = BATON__V1__ERROR__RETRY_AFTER_RETRY_AFTER_MS
      unsafe wire.pointee.retry_after_ms = retryAfterMilliseconds
    }
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__Error>) throws(BatonError) {
    let hasRetryAfter =
      unsafe wire.pointee.retry_after_case == BATON__V1__ERROR__RETRY_AFTER_RETRY_AFTER_MS
    self.init(
      try unsafe Field.enumeration(wire.pointee.code.rawValue, "Error.code"),
      try unsafe Field.text(
        wire.pointee.message, "Error.message", maximumBytes: WireLimits.maximumErrorTextBytes),
      isRetryable: unsafe wire.pointee.retryable != 0,
      retryAfterMilliseconds: hasRetryAfter ? unsafe wire.pointee.retry_after_ms : nil)
  }

  /// The longest prefix of whole characters that fits.
  private static func cut(_ text: String, toBytes maximum: Int) -> String {
    guard text.utf8.count > maximum else { return text }
    var end = text.utf8.index(text.startIndex, offsetBy: maximum)
    while end.samePosition(in: text.unicodeScalars) == nil { text.utf8.formIndex(before: &end) }
    return String(text[..<end])
  }
}

extension Hello: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__Hello> {
    let wire = unsafe arena.make(baton__v1__hello__init)
    unsafe (wire.pointee.n_versions, wire.pointee.versions) = arena.array(versions)
    unsafe wire.pointee.engine = arena.text(engine.name)
    unsafe wire.pointee.incarnation = incarnation.rawValue
    unsafe wire.pointee.role = Baton__V1__Role(rawValue: UInt32(role.rawValue))
    unsafe (wire.pointee.n_features, wire.pointee.features) = arena.texts(features)
    unsafe wire.pointee.nonce = arena.bytes(nonce)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__Hello>) throws(BatonError) {
    self.init(
      versions: try unsafe Field.numbers(
        wire.pointee.n_versions, wire.pointee.versions, "Hello.versions",
        maximum: WireLimits.maximumVersions),
      engine: try unsafe Field.engine(wire.pointee.engine, "Hello.engine"),
      incarnation: try unsafe Field.incarnation(wire.pointee.incarnation, "Hello.incarnation"),
      role: try unsafe Field.enumeration(wire.pointee.role.rawValue, "Hello.role"),
      features: try unsafe Field.texts(
        wire.pointee.n_features, wire.pointee.features, "Hello.features",
        maximum: WireLimits.maximumFeatures),
      nonce: try unsafe Field.bytes(
        wire.pointee.nonce, "Hello.nonce", count: WireLimits.nonceBytes))
  }
}

extension Proof: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__Proof> {
    let wire = unsafe arena.make(baton__v1__proof__init)
    unsafe (wire.pointee.n_codes, wire.pointee.codes) = arena.array(
      codes.map { unsafe arena.bytes($0) })
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__Proof>) throws(BatonError) {
    let count = unsafe wire.pointee.n_codes
    guard (1...WireLimits.maximumProofCodes).contains(count), let list = unsafe wire.pointee.codes
    else {
      throw BatonError(
        .invalidArgument,
        "Proof.codes has \(count) elements, 1 to \(WireLimits.maximumProofCodes) are allowed")
    }
    self.init(codes: [])
    for index in 0..<count {
      codes.append(
        try unsafe Field.bytes(list[index], "Proof.codes", count: WireLimits.proofCodeBytes))
    }
  }
}

extension PeerInfo: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__PeerInfo> {
    let wire = unsafe arena.make(baton__v1__peer_info__init)
    unsafe wire.pointee.model = model?.wire(in: arena)
    unsafe wire.pointee.boot_id = arena.text(bootID)
    unsafe wire.pointee.process_id = processID
    unsafe (wire.pointee.n_addresses, wire.pointee.addresses) = arena.texts(addresses)
    unsafe wire.pointee.ranks = ranks
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__PeerInfo>) throws(BatonError) {
    self.init(
      model: try unsafe Field.optionalMessage(wire.pointee.model),
      bootID: try unsafe Field.text(wire.pointee.boot_id, "PeerInfo.boot_id"),
      processID: unsafe wire.pointee.process_id,
      addresses: try unsafe Field.texts(
        wire.pointee.n_addresses, wire.pointee.addresses, "PeerInfo.addresses",
        maximum: WireLimits.maximumAddresses),
      ranks: UInt32(
        try unsafe Field.number(
          wire.pointee.ranks, "PeerInfo.ranks", in: 1...WireLimits.maximumRanks)))
  }
}

extension ModelSummary: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__ModelSummary> {
    let wire = unsafe arena.make(baton__v1__model_summary__init)
    unsafe wire.pointee.name = arena.text(name)
    unsafe wire.pointee.fingerprint = arena.bytes(fingerprint)
    unsafe wire.pointee.geometry = geometry.wire(in: arena)
    unsafe wire.pointee.context_tokens = contextTokens
    unsafe wire.pointee.vocabulary_size = vocabularySize
    unsafe (wire.pointee.n_end_tokens, wire.pointee.end_tokens) = arena.array(endTokens)
    unsafe wire.pointee.pool_blocks = poolBlocks
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__ModelSummary>) throws(BatonError) {
    self.init(
      name: try unsafe Field.text(wire.pointee.name, "ModelSummary.name"),
      fingerprint: try unsafe Field.bytes(
        wire.pointee.fingerprint, "ModelSummary.fingerprint", count: WireLimits.sha256Bytes),
      geometry: try unsafe Field.message(wire.pointee.geometry, "ModelSummary.geometry"),
      contextTokens: unsafe wire.pointee.context_tokens,
      vocabularySize: unsafe wire.pointee.vocabulary_size,
      endTokens: try unsafe Field.tokens(
        wire.pointee.n_end_tokens, wire.pointee.end_tokens, "ModelSummary.end_tokens",
        maximum: WireLimits.maximumEndTokens),
      poolBlocks: UInt32(
        try unsafe Field.number(
          wire.pointee.pool_blocks, "ModelSummary.pool_blocks", in: 0...Limits.maximumPoolBlocks))
    )
  }
}

extension KVGeometry: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__KVGeometry> {
    let wire = unsafe arena.make(baton__v1__kvgeometry__init)
    unsafe wire.pointee.block_tokens = UInt32(blockTokens)
    unsafe (wire.pointee.n_groups, wire.pointee.groups) = arena.list(groups)
    return unsafe wire
  }

  /// The limits together keep `blockBytes` below 2^62: it cannot overflow.
  init(wire: UnsafeMutablePointer<Baton__V1__KVGeometry>) throws(BatonError) {
    let blockTokens = try unsafe Field.number(
      wire.pointee.block_tokens, "KVGeometry.block_tokens",
      in: 1...WireLimits.maximumBlockTokens)
    let groups: [CacheGroup] = try unsafe Field.list(
      wire.pointee.n_groups, wire.pointee.groups, "KVGeometry.groups",
      maximum: WireLimits.maximumCacheGroups)
    guard !groups.isEmpty else {
      throw BatonError(.invalidArgument, "KVGeometry.groups is empty")
    }
    self.init(blockTokens: blockTokens, groups: groups)
  }
}

extension CacheGroup: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__CacheGroup> {
    let wire = unsafe arena.make(baton__v1__cache_group__init)
    unsafe wire.pointee.layers = UInt32(layers)
    unsafe wire.pointee.key_value_heads = UInt32(keyValueHeads)
    unsafe wire.pointee.head_dimension = UInt32(headDimension)
    unsafe wire.pointee.data_type = Baton__V1__DataType(rawValue: UInt32(dataType.rawValue))
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__CacheGroup>) throws(BatonError) {
    self.init(
      layers: try unsafe Field.number(
        wire.pointee.layers, "CacheGroup.layers", in: 1...WireLimits.maximumLayers),
      keyValueHeads: try unsafe Field.number(
        wire.pointee.key_value_heads, "CacheGroup.key_value_heads",
        in: 1...WireLimits.maximumKeyValueHeads),
      headDimension: try unsafe Field.number(
        wire.pointee.head_dimension, "CacheGroup.head_dimension",
        in: 1...WireLimits.maximumHeadDimension),
      dataType: try unsafe Field.enumeration(
        wire.pointee.data_type.rawValue, "CacheGroup.data_type"))
  }
}

extension ModelAssetChunk: @unsafe WireConvertible {
  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__ModelAssetChunk> {
    let wire = unsafe arena.make(baton__v1__model_asset_chunk__init)
    unsafe wire.pointee.name = arena.text(name)
    unsafe wire.pointee.sha256 = arena.bytes(sha256)
    unsafe wire.pointee.total_bytes = totalBytes
    unsafe wire.pointee.offset = offset
    unsafe wire.pointee.data = arena.bytes(data)
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__ModelAssetChunk>) throws(BatonError) {
    let total = unsafe wire.pointee.total_bytes
    guard total <= UInt64(Limits.maximumModelAssetBytes) else {
      throw BatonError(
        .invalidArgument,
        "ModelAssetChunk.total_bytes is \(total), \(Limits.maximumModelAssetBytes) are allowed")
    }
    let offset = unsafe wire.pointee.offset
    let data = unsafe Field.bytes(wire.pointee.data)
    guard offset <= total, UInt64(data.count) <= total - offset else {
      throw BatonError(
        .invalidArgument,
        "ModelAssetChunk: \(data.count) bytes from \(offset) on are not inside \(total)")
    }
    self.init(
      name: try unsafe Field.text(wire.pointee.name, "ModelAssetChunk.name"),
      sha256: try unsafe Field.bytes(
        wire.pointee.sha256, "ModelAssetChunk.sha256", count: WireLimits.sha256Bytes),
      totalBytes: total, offset: offset, data: data)
  }
}
