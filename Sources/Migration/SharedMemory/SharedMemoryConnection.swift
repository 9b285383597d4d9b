import KVCore
import KVPool

/// A peer's regions in this process's address space, read-only.
struct SharedMemoryConnection: TransportConnection {
  struct Region: Hashable, Sendable {
    /// From the first byte of the memory.
    let offset: ByteCount
    let length: ByteCount
  }

  let regions: [RegionKey: ByteCount]
  private let memory: PeerMemory?
  private let places: [RegionKey: Region]

  /// - Parameter memory: nil only where there are no regions.
  init(memory: PeerMemory?, regions: [RegionKey: Region]) {
    precondition(memory != nil || regions.isEmpty, "regions lie in memory")
    self.memory = memory
    places = regions
    self.regions = regions.mapValues(\.length)
  }

  func read(
    _ plan: MigrationPlan, under grant: ReadGrant?, cancellation: MigrationCancellation?
  ) -> ReadResult {
    do throws(BatonError) {
      let mismatch = try MemoryCopy.copy(plan) { (key) throws(BatonError) in
        guard let source = mappedRegion(key) else {
          throw BatonError(.invalidArgument, "the peer has no region \(key)")
        }
        return source.address
      }
      return mismatch.map { .mismatch($0) } ?? .complete
    } catch {
      return .failed(error, missing: plan)
    }
  }

  func mappedRegion(_ key: RegionKey) -> MappedRegion? {
    guard let memory, let place = places[key] else { return nil }
    return MappedRegion(
      key: key, address: memory.address + UInt(place.offset.rawValue), length: place.length,
      memory: memory, offset: place.offset)
  }
}
