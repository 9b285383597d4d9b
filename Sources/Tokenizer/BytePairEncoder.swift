/// Turns the bytes of one word into tokens by merging neighbours, lowest rank first.
struct BytePairEncoder {
  struct Merge {
    let rank: UInt32
    let token: Int32
  }

  /// The token of each single byte; nil for a byte that the vocabulary lacks, which is dropped.
  var byteTokens: [Int32?] = []
  /// What two neighbouring tokens merge into, keyed by both.
  var merges: [UInt64: Merge] = [:]
  /// With `ignore_merges`, whole words that are tokens without any merging; else empty.
  var wholeWords: [[UInt8]: Int32] = [:]

  static func pair(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  /// A token of the word while it is merged: a node of a doubly linked list.
  private struct Symbol {
    /// Nil once it was merged into its left neighbour.
    var token: Int32?
    /// Place of the neighbour, or -1.
    var previous: Int
    /// Place of the neighbour, or -1.
    var next: Int
  }

  /// Appends the tokens of a word of n bytes in O(n log n) steps.
  func encode(_ word: [UInt8], into tokens: inout [Int32]) {
    if let token = wholeWords[word] {
      tokens.append(token)
      return
    }
    var symbols: [Symbol] = []
    symbols.reserveCapacity(word.count)
    for byte in word {
      guard let token = byteTokens[Int(byte)] else { continue }
      let place = symbols.count
      symbols.append(Symbol(token: token, previous: place - 1, next: place + 1))
    }
    guard !symbols.isEmpty else { return }
    symbols[symbols.count - 1].next = -1
    if symbols.count > 1 { mergeAll(&symbols) }
    var place = 0
    while place >= 0 {
      if let token = symbols[place].token { tokens.append(token) }
      place = symbols[place].next
    }
  }

  private func mergeAll(_ symbols: inout [Symbol]) {
    var queue = MergeQueue()
    for place in 0..<symbols.count - 1 { enqueue(place, symbols, &queue) }
    while let entry = queue.pop() {
      let place = entry.place
      // An entry is out of date when its symbols have been merged otherwise meanwhile. Like
      // Hugging Face's `merge_all`, one whose symbols changed but still make the same token
      // is carried out.
      guard let merge = merge(at: place, symbols), merge.token == entry.token else { continue }
      let right = symbols[place].next
      let behind = symbols[right].next
      symbols[place].token = merge.token
      symbols[place].next = behind
      symbols[right].token = nil
      if behind >= 0 { symbols[behind].previous = place }
      if symbols[place].previous >= 0 { enqueue(symbols[place].previous, symbols, &queue) }
      enqueue(place, symbols, &queue)
    }
  }

  private func enqueue(_ place: Int, _ symbols: [Symbol], _ queue: inout MergeQueue) {
    guard let merge = merge(at: place, symbols) else { return }
    queue.push(MergeQueue.Entry(rank: merge.rank, place: place, token: merge.token))
  }

  /// The merge of the symbol at `place` with its right neighbour, if there is one.
  private func merge(at place: Int, _ symbols: [Symbol]) -> Merge? {
    guard let left = symbols[place].token, symbols[place].next >= 0,
      let right = symbols[symbols[place].next].token
    else { return nil }
    return merges[Self.pair(left, right)]
  }
}
