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
