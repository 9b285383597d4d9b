import Glibc
import KVCore

/// The small files of a Hugging Face model directory.
struct ModelDirectory {
  let path: String
  let config: FieldReader
  let generation: FieldReader?
  /// What the proxy needs, by name: see `ModelDescription.assets`.
  let assets: [String: [UInt8]]
  /// Those of the small files that the fingerprint covers.
  private let fingerprinted: [FileMapping]

  private static let configFile = "config.json"
  private static let tokenizerFile = "tokenizer.json"
  private static let generationFile = "generation_config.json"

  init(path: String) throws(BatonError) {
    self.path = path
    let config = try Self.map("\(path)/\(Self.configFile)")
    let tokenizer = try Self.map("\(path)/\(Self.tokenizerFile)")
    self.config = try Self.fields(of: config)
    assets = [Self.tokenizerFile: tokenizer.contents]
    let generationPath = "\(path)/\(Self.generationFile)"
    let generation = Self.exists(generationPath) ? try Self.map(generationPath) : nil
    self.generation = try generation.map { file throws(BatonError) in try Self.fields(of: file) }
    fingerprinted = [config, tokenizer] + [generation].compactMap(\.self)
  }

  private static func fields(of file: FileMapping) throws(BatonError) -> FieldReader {
    FieldReader(
      file: file.path, fields: try JSONValue.object(in: file.contents, file: file.path))
  }

  /// The last part of the path.
  var name: String {
    path.split(separator: "/").last.map(String.init) ?? path
  }

  func fingerprint(weights: [FileMapping]) -> [UInt8] {
    ModelFingerprint.compute(fingerprinted + weights)
  }

  /// Whether there is something at `path` (access(2)).
  static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

  private static func map(_ path: String) throws(BatonError) -> FileMapping {
    let file = try FileMapping(path: path)
    let size = file.byteCount
    guard size <= Limits.maximumModelAssetBytes else {
      throw BatonError(
        .invalidArgument,
        "\(path) has \(ByteCount(size)); allowed: \(ByteCount(Limits.maximumModelAssetBytes))")
    }
    return file
  }
}
