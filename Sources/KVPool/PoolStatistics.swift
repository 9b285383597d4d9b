/// How full and how fragmented a pool is, in blocks.
package struct PoolStatistics: Hashable, Sendable {
  package let total: Int
  package let free: Int
  /// How many separate runs the free blocks form.
  package let freeRuns: Int
  package let largestFreeRun: Int

  package var used: Int { total - free }

  package init(total: Int, free: Int, freeRuns: Int, largestFreeRun: Int) {
    self.total = total
    self.free = free
    self.freeRuns = freeRuns
    self.largestFreeRun = largestFreeRun
  }
}
