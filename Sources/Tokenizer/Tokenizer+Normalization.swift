import Foundation

extension Tokenizer {
  /// Unicode normalisation form C (UAX #15) where the file asks for it.
  func normalized(_ text: String) -> String {
    guard normalizesToNFC, !text.utf8.allSatisfy({ $0 < 0x80 }) else { return text }
    return text.precomposedStringWithCanonicalMapping
  }
}
