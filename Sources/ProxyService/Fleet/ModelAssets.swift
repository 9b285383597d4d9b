import ControlProtocol
import ControlTransport
import Crypto
import Foundation
import KVCore
import Tokenizer

/// The files of a model that the proxy works with, fetched from an engine over the protocol.
enum ModelAssets {
  /// Fetches every file by name.
  ///
  /// Throws `BatonError`: `protocolViolation` for pieces that do not fit together,
  /// `checksumMismatch` for a file whose SHA-256 is not the announced one.
  static func fetch(from connection: ControlConnection) async throws -> [String: [UInt8]] {
    var files: [String: [UInt8]] = [:]
    var unfinished: Set<String> = []
    let answers = try connection.stream(
      .modelAssetsRequest, within: .milliseconds(ProxyLimits.modelAssetsMilliseconds))
    for try await message in answers {
      guard case .modelAssetChunk(let chunk) = message else {
        throw BatonError(.protocolViolation, "expected a piece of a model file")
      }
      var file = files.removeValue(forKey: chunk.name) ?? []
      guard
        chunk.totalBytes <= UInt64(Limits.maximumModelAssetBytes),
        chunk.offset == UInt64(file.count),
        UInt64(file.count + chunk.data.count) <= chunk.totalBytes
      else {
        throw BatonError(
          .protocolViolation,
          "\(chunk.name): a piece of \(chunk.data.count) bytes at \(chunk.offset) does not follow "
            + "\(file.count) bytes of \(chunk.totalBytes)")
      }
      file += chunk.data
      if UInt64(file.count) < chunk.totalBytes {
        unfinished.insert(chunk.name)
      } else {
        guard Array(SHA256.hash(data: file)) == chunk.sha256 else {
          throw BatonError(.checksumMismatch, "\(chunk.name) does not have its announced SHA-256")
        }
        unfinished.remove(chunk.name)
      }
      files[chunk.name] = file
    }
    if let name = unfinished.first {
      throw BatonError(.protocolViolation, "\(name) ended before its last piece")
    }
    return files
  }

  /// The tokenizer among the files of a model.
  ///
  /// Throws `BatonError` with `incompatible` that names what is missing or cannot be used.
  static func tokenizer(of files: [String: [UInt8]]) throws(BatonError) -> Tokenizer {
    guard let json = files["tokenizer.json"] else {
      throw BatonError(.incompatible, "the model has no tokenizer.json")
    }
    do {
      return try Tokenizer(json: json)
    } catch {
      throw BatonError(.incompatible, "tokenizer.json: \(error)")
    }
  }
}
