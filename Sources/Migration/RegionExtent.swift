package import KVCore

/// A run of bytes of one region.
package struct RegionExtent: Hashable, Sendable {
  package let region: RegionKey
  package let offset: Int
  package let length: Int

  package init(region: RegionKey, offset: Int, length: Int) {
    self.region = region
    self.offset = offset
    self.length = length
  }

  package var end: Int { offset + length }

  /// The same bytes by region and offset, of which none touches the next.
  static func joined(_ extents: [RegionExtent]) -> [RegionExtent] {
    let sorted = extents.sorted {
      ($0.region.rawValue, $0.offset) < ($1.region.rawValue, $1.offset)
    }
    var result: [RegionExtent] = []
    for extent in sorted {
      if let last = result.last, last.region == extent.region, last.end >= extent.offset {
        result[result.count - 1] = RegionExtent(
          region: last.region, offset: last.offset,
          length: max(last.end, extent.end) - last.offset)
      } else {
        result.append(extent)
      }
    }
    return result
  }
}
