import Glibc
import KVCore

/// The small files of a Hugging Face model directory.
struct ModelDirectory {
  let path: String
  let config: FieldReader
  let generation: FieldReader?
  /// What the proxy needs, by name: see `ModelDescription.assets`.
  let assets: [String: [UInt8]]
  private let configMapping: FileMapping
  private let tokenizerMapping: FileMapping

  private static let configFile = "config.json"
  private static let tokenizerFile = "tokenizer.json"
  private static let generationFile = "generation_config.json"
  private static let optionalAssets = ["tokenizer_config.json", generationFile]

  init(path: String) throws(BatonError) {
    self.path = path
    configMapping = try Self.map("\(path)/\(Self.configFile)")
    config = FieldReader(
      file: configMapping.path,
      fields: try JSONValue.object(in: configMapping.contents, file: configMapping.path))
    tokenizerMapping = try Self.map("\(path)/\(Self.tokenizerFile)")
    var assets = [Self.tokenizerFile: tokenizerMapping.contents]
    for name in Self.optionalAssets where Self.exists("\(path)/\(name)") {
      assets[name] = try Self.map("\(path)/\(name)").contents
    }
    self.assets = assets
    if let bytes = assets[Self.generationFile] {
      let file = "\(path)/\(Self.generationFile)"
      generation = FieldReader(file: file, fields: try JSONValue.object(in: bytes, file: file))
    } else {
      generation = nil
    }
  }

  /// The last part of the path.
  var name: String {
    path.split(separator: "/").last.map(String.init) ?? path
  }

  func fingerprint(weights: [FileMapping]) -> [UInt8] {
    ModelFingerprint.compute(
      config: configMapping, tokenizer: tokenizerMapping, weights: weights)
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
