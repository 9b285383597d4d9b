package import KVCore

/// The first message of each side of a connection: who speaks, in which versions.
package struct Hello: Hashable, Sendable {
  /// Protocol versions that the sender speaks, best first.
  package var versions: [UInt32]
  package var engine: EngineID
  package var incarnation: Incarnation
  package var role: Role
  /// Optional parts of the protocol that the sender has, by name.
  package var features: [String]
  /// 32 random bytes, fresh for each connection.
  package var nonce: [UInt8]

  package init(
    versions: [UInt32], engine: EngineID, incarnation: Incarnation, role: Role,
    features: [String], nonce: [UInt8]
  ) {
    self.versions = versions
    self.engine = engine
    self.incarnation = incarnation
    self.role = role
    self.features = features
    self.nonce = nonce
  }
}

/// Shows that the sender has a cluster key, without telling it.
package struct Proof: Hashable, Sendable {
  /// One code of `ClusterKey.codeBytes` bytes for each key that the sender has.
  package var codes: [[UInt8]]

  package init(codes: [[UInt8]]) { self.codes = codes }
}

/// What an engine runs, told once both hellos are accepted. Proxies and clients send it
/// without a model.
package struct PeerInfo: Hashable, Sendable {
  package var model: ModelSummary?
  /// /proc/sys/kernel/random/boot_id: equal ids are a hint of the same node, never a proof.
  package var bootID: String
  package var processID: UInt32
  /// Where other engines reach this one's control port.
  package var addresses: [String]
  /// Tensor, pipeline and data parallel ranks of this engine; lists by rank have this length.
  package var ranks: UInt32

  package init(
    model: ModelSummary?, bootID: String, processID: UInt32, addresses: [String], ranks: UInt32
  ) {
    self.model = model
    self.bootID = bootID
    self.processID = processID
    self.addresses = addresses
    self.ranks = ranks
  }
}

/// What must be equal on both ends of a link, and what the proxy needs to know of a model.
package struct ModelSummary: Hashable, Sendable {
  package var name: String
  /// SHA-256 over the model's files; 32 bytes.
  package var fingerprint: [UInt8]
  package var geometry: KVGeometry
  /// Prompt and answer together.
  package var contextTokens: UInt32
  package var vocabularySize: UInt32
  package var endTokens: [TokenID]
  /// KV blocks of the engine's pool.
  package var poolBlocks: UInt32

  package init(
    name: String, fingerprint: [UInt8], geometry: KVGeometry, contextTokens: UInt32,
    vocabularySize: UInt32, endTokens: [TokenID], poolBlocks: UInt32
  ) {
    self.name = name
    self.fingerprint = fingerprint
    self.geometry = geometry
    self.contextTokens = contextTokens
    self.vocabularySize = vocabularySize
    self.endTokens = endTokens
    self.poolBlocks = poolBlocks
  }

  /// Enough of the fingerprint to tell models apart in messages: 16 hexadecimal digits.
  package var shortFingerprint: String { Hexadecimal.string(fingerprint.prefix(8)) }
}

/// One piece of one file of the model that the proxy needs (tokenizer.json and its companions).
///
/// Pieces of a file come in order; the file is whole when `offset + data.count == totalBytes`.
package struct ModelAssetChunk: Hashable, Sendable {
  package var name: String
  /// Of the whole file; 32 bytes.
  package var sha256: [UInt8]
  package var totalBytes: UInt64
  package var offset: UInt64
  package var data: [UInt8]

  package init(name: String, sha256: [UInt8], totalBytes: UInt64, offset: UInt64, data: [UInt8]) {
    self.name = name
    self.sha256 = sha256
    self.totalBytes = totalBytes
    self.offset = offset
    self.data = data
  }
}

/// One metric with all its samples, as the engine counts it now.
package struct MetricFamily: Hashable, Sendable {
  /// The raw values are those of `baton.v1.MetricKind`.
  package enum Kind: UInt8, Sendable, CaseIterable {
    case counter = 1
    case gauge = 2
    case histogram = 3
  }

  /// A counter or gauge has one sample per label set; a histogram one per bucket, sum and count.
  package struct Sample: Hashable, Sendable {
    /// Appended to the family's name: "", "_bucket", "_sum" or "_count".
    package var suffix: String
    package var labels: [Label]
    package var value: Double

    package init(suffix: String, labels: [Label], value: Double) {
      self.suffix = suffix
      self.labels = labels
      self.value = value
    }
  }

  package struct Label: Hashable, Sendable {
    package var name: String
    package var value: String

    package init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  package var name: String
  package var help: String
  package var kind: Kind
  package var samples: [Sample]

  package init(name: String, help: String, kind: Kind, samples: [Sample]) {
    self.name = name
    self.help = help
    self.kind = kind
    self.samples = samples
  }
}
