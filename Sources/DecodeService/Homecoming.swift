import EngineHost
import KVCore
import KVPool
import Migration

/// The copying of one sequence's borrowed blocks into our own pool, on the copy thread and beside
/// the steps, which read the borrowed ones until it is done.
struct Homecoming: Sendable {
  /// Which sequence it is for.
  let sequence: UInt64
  let borrowed: BorrowedBlocks
  /// Where the blocks go; nobody else may have it before the copy has ended.
  let room: [BlockRange]
  let pool: KVPool
  let copier: WorkerThread
  let mailbox: Mailbox<DecodeCommand>

  /// Bytes that are copied before hand-overs that wait for the thread get their turn.
  private static let pieceBytes = ByteCount.mebibytes(16)

  /// Starts the copy; `DecodeCommand.cameHome` tells of its end.
  func start() { copy(from: 0) }

  private func copy(from position: Int) {
    copier.post {
      let count = borrowed.stamps.count
      let piece = max(1, Self.pieceBytes.rawValue / pool.layout.blockBytes)
      let end = min(position + piece, count)
      do throws(BatonError) {
        _ = try borrowed.copyHome(
          position..<end, to: room.blocks(at: position..<end), in: pool)
      } catch {
        mailbox.post(.cameHome(sequence, room, error))
        return
      }
      if end < count { copy(from: end) } else { mailbox.post(.cameHome(sequence, room, nil)) }
    }
  }
}
