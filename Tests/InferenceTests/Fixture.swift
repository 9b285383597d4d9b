import Foundation
import Inference
import KVCore

/// The small checkpoints that Tools/golden-model/make.py writes.
enum Fixture: String, CaseIterable, Sendable {
  case golden32 = "golden-f32"
  case golden16 = "golden-bf16"

  var url: URL {
    Bundle.module.bundleURL.appending(path: "Fixtures").appending(path: rawValue)
  }

  var directory: String { url.path() }

  /// What Hugging Face transformers computes in float32 for the checkpoint.
  struct Golden: Decodable {
    let prompt: [TokenID]
    /// The greedy continuation.
    let tokens: [TokenID]
    /// The logits after the prompt.
    let logits: [Float]
  }

  func golden() throws -> Golden {
    try JSONDecoder().decode(
      Golden.self, from: Data(contentsOf: url.appending(path: "golden.json")))
  }

  func engine(
    _ dataType: KVDataType = .float32, blockTokens: Int = 16, threads: Int = 1,
    instructionSet: InstructionSet = .fastest
  ) throws -> CPUEngine {
    try CPUEngine(
      directory: directory, kvDataType: dataType, blockTokens: blockTokens, threads: threads,
      instructionSet: instructionSet)
  }

  /// A copy of the checkpoint in a directory that may be changed, gone when `body` returns.
  func withCopy(_ body: (URL) throws -> Void) throws {
    let copy = FileManager.default.temporaryDirectory
      .appending(path: "baton-\(rawValue)-\(UUID().uuidString)")
    try FileManager.default.copyItem(at: url, to: copy)
    defer { try? FileManager.default.removeItem(at: copy) }
    try body(copy)
  }
}
