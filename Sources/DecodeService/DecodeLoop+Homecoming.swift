import EngineHost
import KVCore
import KVPool
import Logging
import Migration

/// Borrowed blocks on their way into our own pool.
extension DecodeLoop {
  /// Starts to copy what is borrowed from engines that are gone or want it back, as far as our pool
  /// has room.
  ///
  /// Until there is room the blocks stay borrowed: a dead engine's memory lives as long as it is
  /// mapped, and a living one waits. No sequence waits for room to go on, so both pools may be
  /// full, and every answer that ends makes room in both. Who waits for blocks here is overtaken,
  /// but only by sequences that run already, and by each of them once.
  func bringHome() {
    for index in sequences.indices {
      guard let borrowed = sequences[index].borrowed, borrowed.room == nil,
        borrowed.isRecalled || !borrowed.link.isAlive
      else { continue }
      guard let room = try? host.pool.allocate(blocks: borrowed.count) else {
        tellNoRoom(index)
        continue
      }
      sequences[index].borrowed?.room = room
      Homecoming(
        sequence: sequences[index].serial, borrowed: borrowed.blocks, room: room, pool: host.pool,
        copier: copier, mailbox: mailbox
      ).start()
    }
  }

  private func tellNoRoom(_ index: Int) {
    guard let borrowed = sequences[index].borrowed, !borrowed.lacksRoom else { return }
    sequences[index].borrowed?.lacksRoom = true
    let pool = host.pool.statistics
    host.logger.info(
      "no room for borrowed blocks, they stay borrowed until there is",
      metadata: [
        "request": "\(sequences[index].request)", "blocks": "\(borrowed.count)",
        "free": "\(pool.free)", "pool": "\(pool.total)", "from": "\(borrowed.link.engine)",
      ])
  }

  /// Prefill wants these back; those that have not arrived yet are asked about when they do.
  func recall(_ tickets: Set<TicketID>) {
    for index in sequences.indices {
      guard let borrowed = sequences[index].borrowed, tickets.contains(borrowed.ticket)
      else { continue }
      sequences[index].borrowed?.isRecalled = true
    }
  }

  /// Takes over a copy that has ended, or what is left of it if the sequence has ended first.
  func cameHome(_ serial: UInt64, room: [BlockRange], failure: BatonError?) {
    guard let index = sequences.firstIndex(where: { $0.serial == serial }),
      let borrowed = sequences[index].borrowed
    else {
      host.reserver.release(room)
      return
    }
    if let failure {
      host.reserver.release(room)
      end([index: .failed(failure)])
      return
    }
    sequences[index].ownBlocks += room
    sequences[index].blocks.replaceSubrange(0..<borrowed.count, with: host.addresses(of: room))
    sequences[index].borrowed = nil
    // Told before prefill is, so that what follows from the release is logged after it.
    host.logger.info(
      "borrowed blocks copied home",
      metadata: [
        "request": "\(sequences[index].request)", "blocks": "\(borrowed.count)",
        "from": "\(borrowed.link.engine)",
      ])
    leases.release(borrowed.ticket, on: borrowed.link)
    // The last of a dead engine's blocks takes its memory with it, and unmapping takes time.
    copier.post { withExtendedLifetime(borrowed) {} }
  }
}
