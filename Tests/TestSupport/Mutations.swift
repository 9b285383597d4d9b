/// Changes bytes as accidents and attackers do.
package struct Mutator {
  package var random: RandomMessages

  package init(seed: UInt64) { random = RandomMessages(seed: seed) }

  /// `bytes` with one to four changes: bits, bytes, lengths, pieces that are missing or repeated.
  package mutating func mutate(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<random.number(1...4) {
      guard !bytes.isEmpty else { return random.bytes(random.number(0...40)) }
      let place = random.number(0...bytes.count - 1)
      switch random.number(0...6) {
      case 0: bytes[place] ^= 1 << UInt8(random.number(0...7))
      case 1: bytes[place] = UInt8(random.number(0...255))
      case 2: bytes[place] = [0, 1, 0x7F, 0x80, 0xFF][random.number(0...4)]
      case 3: bytes.removeLast(bytes.count - place)
      case 4: bytes.removeSubrange(place..<min(bytes.count, place + random.number(1...16)))
      case 5: bytes.insert(contentsOf: random.bytes(random.number(1...16)), at: place)
      default:
        let end = min(bytes.count, place + random.number(1...64))
        bytes.insert(contentsOf: bytes[place..<end], at: random.number(0...bytes.count))
      }
    }
    return bytes
  }

  /// A payload made field by field: any numbers and wire types, sound or not, nested.
  package mutating func payload(depth: Int = 0) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<random.number(0...6) { bytes += field(depth: depth) }
    return bytes
  }

  private mutating func field(depth: Int) -> [UInt8] {
    let number = random.number(0...15) == 0 ? random.number(0...100_000) : random.number(1...7)
    // 3 and 4 are the groups of proto2, 6 and 7 nothing.
    let wireType =
      random.number(0...20) == 0 ? random.number(0...7) : [0, 1, 2, 2, 2, 5][random.number(0...5)]
    let tag = Self.varint(UInt64(number << 3 | wireType))
    switch wireType {
    case 0: return tag + Self.varint(number64())
    case 1: return tag + random.bytes(8)
    case 5: return tag + random.bytes(4)
    default:
      let content =
        depth < 4 && random.chance()
        ? payload(depth: depth + 1) : random.bytes([0, 1, 16, 32, 33][random.number(0...4)])
      let length = random.number(0...30) == 0 ? number64() : UInt64(content.count)
      return tag + Self.varint(length) + content
    }
  }

  private mutating func number64() -> UInt64 {
    [0, 1, 2, UInt64(random.number(0...300)), random.next() >> 33, random.next(), .max][
      random.number(0...6)]
  }

  package static func varint(_ value: UInt64) -> [UInt8] {
    var value = value
    var bytes: [UInt8] = []
    while value >= 0x80 {
      bytes.append(UInt8(value & 0x7F) | 0x80)
      value >>= 7
    }
    return bytes + [UInt8(value)]
  }
}
