import Foundation
import Tokenizer

/// What `Tools/tokenizer-golden/make.py` wrote down about one tokenizer.
struct Golden: Decodable {
  struct Case: Decodable {
    let text: String
    let ids: [Int32]
    let plain: [Int32]
    let decoded: String
    let decodedWithSpecial: String
  }

  struct Decoding: Decodable {
    let ids: [Int32]
    let text: String
  }

  struct LongText: Decodable {
    let unit: String
    let count: Int
    let tokens: Int
    let hash: String
  }

  let name: String
  let vocabularySize: Int
  let cases: [Case]
  let decodings: [Decoding]
  let longTexts: [LongText]
}

enum Fixture: String, CaseIterable {
  case defaultModel = "default"
  case gpt2
  case llama3
  case qwen2
  case digits

  func golden() throws -> Golden {
    try JSONDecoder().decode(Golden.self, from: try Self.data("\(rawValue).golden.json"))
  }

  func tokenizer() throws -> Tokenizer { try Tokenizer(json: try json()) }

  func json() throws -> [UInt8] {
    guard self == .defaultModel else {
      return Array(try Self.data("\(rawValue).tokenizer.json"))
    }
    // The default model belongs to another target; it is read where it lies in the repository.
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let file = "Sources/Inference/Resources/DefaultModel/tokenizer.json"
    return Array(try Data(contentsOf: root.appending(path: file)))
  }

  private static func data(_ name: String) throws -> Data {
    let folder = Bundle.module.bundleURL.appending(path: "Fixtures")
    return try Data(contentsOf: folder.appending(path: name))
  }
}

/// A seeded generator (SplitMix64, Steele et al. 2014), so that failures can be repeated.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}
