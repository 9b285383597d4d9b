/// Finds added tokens in text: at each place the longest, from left to right.
struct AddedTokens {
  /// A stretch of text between added tokens, or one of them.
  enum Piece {
    case text(String)
    case token(Int32)
  }

  /// Where `node << 8 | byte` leads to; the root is node 0.
  private var edges: [UInt64: UInt32] = [:]
  private var tokens: [UInt32: Int32] = [:]
  private var nodeCount: UInt32 = 1

  /// Adds a token; of two with the same content the later one counts.
  mutating func insert(_ content: String, token: Int32) {
    var node: UInt32 = 0
    for byte in content.utf8 {
      let edge = UInt64(node) << 8 | UInt64(byte)
      if let next = edges[edge] {
        node = next
      } else {
        edges[edge] = nodeCount
        node = nodeCount
        nodeCount += 1
      }
    }
    if node != 0 { tokens[node] = token }
  }

  /// Cuts text at the tokens in it. Pieces are in order, and none is empty.
  func split(_ text: String) -> [Piece] {
    guard !tokens.isEmpty else { return text.isEmpty ? [] : [.text(text)] }
    let bytes = Array(text.utf8)
    var pieces: [Piece] = []
    var textStart = 0
    var index = 0
    while index < bytes.count {
      guard let (token, end) = longestMatch(bytes, at: index) else {
        index += 1
        continue
      }
      appendText(bytes[textStart..<index], to: &pieces)
      pieces.append(.token(token))
      index = end
      textStart = end
    }
    appendText(bytes[textStart...], to: &pieces)
    return pieces
  }

  /// A match starts and ends between characters, as no token starts or ends inside of one.
  private func longestMatch(_ bytes: [UInt8], at start: Int) -> (token: Int32, end: Int)? {
    var node: UInt32 = 0
    var index = start
    var best: (token: Int32, end: Int)?
    while index < bytes.count, let next = edges[UInt64(node) << 8 | UInt64(bytes[index])] {
      node = next
      index += 1
      if let token = tokens[node] { best = (token, index) }
    }
    return best
  }

  private func appendText(_ bytes: ArraySlice<UInt8>, to pieces: inout [Piece]) {
    if !bytes.isEmpty { pieces.append(.text(String(decoding: bytes, as: UTF8.self))) }
  }
}
