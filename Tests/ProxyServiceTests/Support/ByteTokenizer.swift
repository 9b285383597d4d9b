import ProxyService
import Tokenizer

/// A tokenizer whose tokens are single bytes, so that tests can read token ids as text.
enum ByteTokenizer {
  static func make() throws -> Tokenizer { try Tokenizer(json: Array(json.utf8)) }

  /// Byte-level BPE without merges; token i is byte i, as GPT-2's alphabet spells it.
  static var json: String {
    var vocabulary: [String] = []
    var spare: UInt32 = 256
    for byte in UInt32(0)..<256 {
      let isPrintable = (33...126).contains(byte) || (161...172).contains(byte) || byte >= 174
      var code = byte
      if !isPrintable {
        code = spare
        spare += 1
      }
      let scalar = Unicode.Scalar(code).map { "\\u" + Self.fourDigits($0.value) } ?? ""
      vocabulary.append("\"\(scalar)\": \(byte)")
    }
    return """
      {"model": {"type": "BPE", "vocab": {\(vocabulary.joined(separator: ", "))}, "merges": []},
      "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false},
      "decoder": {"type": "ByteLevel"}}
      """
  }

  static func model(contextTokens: Int = 64) throws -> ServedModel {
    ServedModel(
      name: "bytes", contextTokens: contextTokens, tokenizer: try make(), createdSeconds: 1_000,
      fingerprint: "fp_0123456789")
  }

  static func tokens(_ text: String) -> [Int32] { text.utf8.map { Int32($0) } }

  private static func fourDigits(_ value: UInt32) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 4 - digits.count) + digits
  }
}
