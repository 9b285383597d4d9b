import BatonRuntime
import DecodeService
import KVCore
import Testing

@Suite("Hand-over plan")
struct HandoverPlanTests {
  private static let geometry = KVGeometry(
    blockTokens: 16,
    groups: [CacheGroup(layers: 2, keyValueHeads: 1, headDimension: 16, dataType: .bfloat16)])

  @Test(
    "Whole blocks are borrowed, a partly filled last one is not, and the answer has room",
    arguments: [
      // (prompt, answer, ticket's blocks, borrowed, own when borrowing, own when copying)
      (1, 1, 1, 0, 1, 1), (16, 1, 1, 1, 1, 2), (17, 15, 2, 1, 1, 2), (17, 16, 2, 1, 2, 3),
      (2_000, 100, 125, 125, 7, 132),
    ])
  func blocks(
    prompt: Int, answer: Int, ticket: Int, borrowed: Int, ownBorrowing: Int, ownCopying: Int
  ) {
    let borrow = HandoverPlan(
      tokenCount: prompt, maximumTokens: answer, mode: .borrow, geometry: Self.geometry)
    #expect(borrow.ticketBlocks == ticket)
    #expect(borrow.borrowedBlocks == borrowed)
    #expect(borrow.ownBlocks == ownBorrowing)
    let copy = HandoverPlan(
      tokenCount: prompt, maximumTokens: answer, mode: .copy, geometry: Self.geometry)
    #expect(copy.borrowedBlocks == 0)
    #expect(copy.ownBlocks == ownCopying)
  }
}
