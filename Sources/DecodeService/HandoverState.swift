import ControlProtocol
import KVCore
import Migration

/// How far one hand-over has come.
struct HandoverState: Sendable {
  let request: DecodeRequest
  let link: Link
  let plan: HandoverPlan
  /// Our own blocks, once we have them.
  var own: [BlockRange]?
  /// Final stamps of prefill's blocks as far as they are final, in the sequence's order.
  private(set) var stamps: [UInt64] = []
  /// Of the same blocks.
  private(set) var checksums: [UInt64] = []
  /// By what the blocks are READ, where the link has RDMA lanes.
  private(set) var windows: [RDMAWindow] = []
  /// Set when prefill is done.
  private(set) var completion: PrefillDone?
  /// Blocks from the start on that are copied, or are borrowed and not copied at all.
  private var settled: Int
  /// When prefill said that it was done.
  private var completedAt: ContinuousClock.Instant?
  private var copies: [(start: ContinuousClock.Instant, end: ContinuousClock.Instant)] = []

  init(request: DecodeRequest, link: Link, plan: HandoverPlan) {
    self.request = request
    self.link = link
    self.plan = plan
    settled = plan.borrowedBlocks
  }

  var ticket: Ticket { request.ticket }
  var grant: ReadGrant { ReadGrant(ticket: ticket.id, windows: windows) }

  /// Throws `BatonError` with `protocolViolation` for progress that does not follow on the last.
  /// That it has as many checksums as stamps, the codec has seen to.
  mutating func take(
    _ progress: PrefillProgress, at time: ContinuousClock.Instant
  ) throws(BatonError) {
    guard Int(progress.firstBlock) == stamps.count else {
      throw BatonError(
        .protocolViolation,
        "progress speaks of block \(progress.firstBlock) after \(stamps.count) blocks")
    }
    stamps += progress.stamps
    checksums += progress.checksums
    // Each progress could bring more, and there may be many.
    guard windows.isEmpty || progress.windows.isEmpty else {
      throw BatonError(.protocolViolation, "\(link.engine) speaks of windows twice")
    }
    if windows.isEmpty { windows = progress.windows }
    completion = progress.completion
    if completion != nil { completedAt = time }
    guard stamps.count <= plan.ticketBlocks else {
      throw BatonError(
        .protocolViolation,
        "\(link.engine) speaks of \(stamps.count) of \(plan.ticketBlocks) blocks")
    }
  }

  mutating func noteCopy(from start: ContinuousClock.Instant, to end: ContinuousClock.Instant) {
    copies.append((start, end))
  }

  /// Which part of the time of all copies passed before prefill was done; nil without copies.
  var overlap: Double? {
    guard let completedAt, !copies.isEmpty else { return nil }
    let (hidden, all) = copies.reduce((Duration.zero, Duration.zero)) { sum, copy in
      let hidden = max(.zero, min(copy.end, completedAt) - copy.start)
      return (sum.0 + hidden, sum.1 + (copy.end - copy.start))
    }
    return all > .zero ? hidden / all : nil
  }

  /// The final blocks that are to be copied and have not been given out before; nil for none.
  mutating func nextToCopy() -> Range<Int>? {
    guard stamps.count > settled else { return nil }
    defer { settled = stamps.count }
    return settled..<stamps.count
  }
}
