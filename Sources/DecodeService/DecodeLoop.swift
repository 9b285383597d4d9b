import BatonRuntime
import ControlProtocol
import EngineHost
import Inference
import KVCore
import KVPool
import Logging
import Migration
import Platform

/// The thread that advances all sequences of one engine, a batch a step.
///
/// Sequences join and leave between steps. A decode engine gets them with their KV; a hybrid engine
/// gets them as prompts, of which each step reads at most one chunk beside the decoding sequences.
final class DecodeLoop {
  let host: EngineHost
  let leases: LeaseKeeper
  /// Copies borrowed blocks home, beside the steps.
  let copier: WorkerThread
  let mailbox: Mailbox<DecodeCommand>
  private let chunkTokens: Int
  var sequences: [DecodeSequence] = []
  /// Of the next sequence that is admitted.
  private var nextSerial: UInt64 = 0
  /// Where the next batch starts, so that more sequences than fit in one take turns.
  private var turn = 0
  /// When the step that runs began; see `Node.monotonicMicroseconds`.
  private var stepBegan: UInt64 = 0
  private var isStopping = false

  init(
    host: EngineHost, leases: LeaseKeeper, copier: WorkerThread, mailbox: Mailbox<DecodeCommand>
  ) {
    self.host = host
    self.leases = leases
    self.copier = copier
    self.mailbox = mailbox
    self.chunkTokens = host.configuration.prefillChunk
  }

  /// Runs until the stop command; called on the thread that owns this loop.
  func run() {
    while !isStopping {
      let commands = sequences.isEmpty ? mailbox.wait(until: nil) : mailbox.takeAll()
      for command in commands { obey(command) }
      dropCancelled()
      bringHome()
      if !sequences.isEmpty, !isStopping { step(nextBatch()) }
    }
    for sequence in sequences {
      sequence.reply.fail(BatonError(.unavailable, "engine \(host.id) is stopping"))
      giveBack(sequence)
    }
    sequences.removeAll()
  }

  private func obey(_ command: DecodeCommand) {
    switch command {
    case .admit(let sequence): admit(sequence)
    case .recall(let tickets): recall(tickets)
    case .cameHome(let serial, let room, let failure):
      cameHome(serial, room: room, failure: failure)
    case .stop: isStopping = true
    }
  }

  private func admit(_ sequence: DecodeSequence) {
    var sequence = sequence
    sequence.serial = nextSerial
    nextSerial += 1
    // A recall of before has found no sequence.
    if let ticket = sequence.borrowed?.ticket, leases.isRecalled(ticket) {
      sequence.borrowed?.isRecalled = true
    }
    sequences.append(sequence)
  }

  private func dropCancelled() {
    sequences.removeAll { sequence in
      guard sequence.reply.isCancelled else { return false }
      host.logger.info("cancelled", metadata: ["request": "\(sequence.request)"])
      giveBack(sequence)
      return true
    }
  }

  /// Advances the sequences at these indices, which rise.
  private func step(_ batch: [Int]) {
    let slices = batch.map(slice(of:))
    stepBegan = Node.monotonicMicroseconds()
    let logits: [Float]
    do {
      logits = try host.engine.forward(slices)
    } catch {
      guard batch.count == 1 else {
        // A refused batch has written nothing; only the sequence at fault ends. From the last on,
        // so that an end does not move those before it.
        for index in batch.reversed() { step([index]) }
        return
      }
      end([batch[0]: .failed(error)])
      return
    }
    var row = 0
    var ends: [Int: SequenceEnd] = [:]
    for (index, slice) in zip(batch, slices) {
      let wanted = slice.wantsLogits ? row : nil
      if slice.wantsLogits { row += 1 }
      // Nothing that was computed from a block that changed meanwhile may leave.
      if let borrowed = sequences[index].borrowed?.blocks, let place = borrowed.firstStale() {
        ends[index] = .failed(borrowed.staleBlock(at: place))
        continue
      }
      if let end = advance(index, by: slice, logits: wanted.map { self.row($0, of: logits) }) {
        ends[index] = end
      }
    }
    end(ends)
  }

  private func row(_ row: Int, of logits: [Float]) -> ArraySlice<Float> {
    let width = host.engine.model.vocabularySize
    return logits[row * width..<(row + 1) * width]
  }
}

/// How a sequence left the loop.
enum SequenceEnd {
  case finished
  case failed(BatonError)
}

extension DecodeLoop {
  /// The indices of the sequences of the next step, at most one of them still reading its prompt.
  private func nextBatch() -> [Int] {
    var batch: [Int] = []
    var hasPrefill = false
    for offset in sequences.indices where batch.count < Limits.maximumBatchSequences {
      let index = (turn + offset) % sequences.count
      if sequences[index].isPrefilling {
        if hasPrefill { continue }
        hasPrefill = true
      }
      batch.append(index)
    }
    if sequences.count > Limits.maximumBatchSequences {
      turn = (turn + batch.count) % sequences.count
    } else {
      turn = 0
    }
    return batch.sorted()
  }

  private func slice(of index: Int) -> SequenceSlice {
    let sequence = sequences[index]
    let tokens = sequence.pending.prefix(chunkTokens)
    return SequenceSlice(
      tokens: Array(tokens), firstPosition: sequence.position, blocks: sequence.blocks,
      wantsLogits: tokens.count == sequence.pending.count)
  }

  /// Takes over what a step computed; returns the end when there is one.
  private func advance(
    _ index: Int, by slice: SequenceSlice, logits: ArraySlice<Float>?
  ) -> SequenceEnd? {
    sequences[index].position += slice.tokens.count
    sequences[index].pending.removeFirst(slice.tokens.count)
    guard let logits else { return nil }
    let sequence = sequences[index]
    let next = host.nextToken(
      logits: logits, sampling: sequence.sampling, position: sequence.position,
      index: sequence.nextIndex)
    let tokens = next.token.map { [$0] } ?? []
    sequences[index].written += tokens.count
    let chunk = TokenChunk(
      firstIndex: UInt32(sequence.nextIndex), tokens: tokens, finish: next.finish,
      migration: sequence.report)
    if next.finish != nil {
      sequence.reply.finish(with: .tokenChunk(chunk))
      return .finished
    }
    let drawn = Node.monotonicMicroseconds()
    sequence.reply.send(.tokenChunk(chunk))
    if sequence.report != nil {
      host.logger.info(
        "first own token",
        metadata: [
          "request": "\(sequence.request)", "step_us": "\(drawn - stepBegan)", "at_us": "\(drawn)",
        ])
    }
    sequences[index].report = nil
    sequences[index].nextIndex += 1
    sequences[index].pending = tokens
    return nil
  }

  func end(_ ends: [Int: SequenceEnd]) {
    // From the last on, so that the other indices stay right.
    for (index, end) in ends.sorted(by: { $0.key > $1.key }) {
      let sequence = sequences.remove(at: index)
      switch end {
      case .finished:
        host.logger.info(
          "decoded",
          metadata: ["request": "\(sequence.request)", "tokens": "\(sequence.written)"])
      case .failed(let error):
        host.logger.warning(
          "sequence failed", metadata: ["request": "\(sequence.request)", "error": "\(error)"])
        sequence.reply.fail(error)
      }
      giveBack(sequence)
    }
  }

  private func giveBack(_ sequence: DecodeSequence) {
    host.reserver.release(sequence.ownBlocks)
    guard let borrowed = sequence.borrowed else { return }
    leases.release(borrowed.ticket, on: borrowed.link)
    // The last of a dead engine's blocks takes its memory with it, and unmapping takes time.
    copier.post { withExtendedLifetime(borrowed) {} }
  }
}
