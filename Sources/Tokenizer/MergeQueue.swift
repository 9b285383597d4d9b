/// Merges that wait for their turn: a binary heap, lowest rank first, then leftmost.
struct MergeQueue {
  struct Entry {
    /// The rank in the upper, the place of the left symbol in the lower 32 bits.
    let key: UInt64
    /// The token that the merge makes.
    let token: Int32

    init(rank: UInt32, place: Int, token: Int32) {
      key = UInt64(rank) << 32 | UInt64(place)
      self.token = token
    }

    var place: Int { Int(key & 0xFFFF_FFFF) }
  }

  private var entries: [Entry] = []

  mutating func push(_ entry: Entry) {
    entries.append(entry)
    var child = entries.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard entries[child].key < entries[parent].key else { return }
      entries.swapAt(child, parent)
      child = parent
    }
  }

  mutating func pop() -> Entry? {
    guard let last = entries.popLast() else { return nil }
    guard let top = entries.first else { return last }
    entries[0] = last
    var parent = 0
    while true {
      var child = 2 * parent + 1
      guard child < entries.count else { return top }
      if child + 1 < entries.count, entries[child + 1].key < entries[child].key { child += 1 }
      guard entries[child].key < entries[parent].key else { return top }
      entries.swapAt(child, parent)
      parent = child
    }
  }
}
