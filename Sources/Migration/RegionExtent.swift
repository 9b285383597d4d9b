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
}
