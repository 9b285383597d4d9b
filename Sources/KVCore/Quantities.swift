/// A number of bytes.
package struct ByteCount: Hashable, Comparable, Sendable, CustomStringConvertible {
  package let rawValue: Int

  package init(_ rawValue: Int) { self.rawValue = rawValue }

  package static let zero = ByteCount(0)

  package static func kibibytes(_ count: Int) -> ByteCount { ByteCount(count << 10) }
  package static func mebibytes(_ count: Int) -> ByteCount { ByteCount(count << 20) }

  package static func < (left: ByteCount, right: ByteCount) -> Bool {
    left.rawValue < right.rawValue
  }
  package static func + (left: ByteCount, right: ByteCount) -> ByteCount {
    ByteCount(left.rawValue + right.rawValue)
  }
  package static func * (left: ByteCount, right: Int) -> ByteCount {
    ByteCount(left.rawValue * right)
  }

  /// For people: `512 B`, `24 KiB`, `1.5 GiB`.
  package var description: String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    var whole = rawValue
    var tenths = 0
    var unit = 0
    while whole >= 1024, unit < units.count - 1 {
      tenths = (whole % 1024) * 10 / 1024
      whole /= 1024
      unit += 1
    }
    return tenths == 0 ? "\(whole) \(units[unit])" : "\(whole).\(tenths) \(units[unit])"
  }
}

/// The place of one KV block in a pool, from 0.
package struct BlockIndex: Hashable, Comparable, Sendable, CustomStringConvertible {
  package let rawValue: UInt32

  package init(_ rawValue: UInt32) { self.rawValue = rawValue }

  package static func < (left: BlockIndex, right: BlockIndex) -> Bool {
    left.rawValue < right.rawValue
  }

  package var description: String { "\(rawValue)" }
}

/// A token's id in the model's vocabulary.
package typealias TokenID = Int32
