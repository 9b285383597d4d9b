import CKernels
import KVCore

extension CPUEngine {
  static func fillInverseFrequencies(
    _ configuration: ModelConfiguration, _ destination: UnsafeMutablePointer<Float>
  ) {
    unsafe ck_inverse_frequencies(
      configuration.ropeBase, configuration.headDimension, destination)
  }

  /// Takes the tokens of `pass` through all layers, writes their KV, and writes the logits of the
  /// slices that end in this pass and want them to `logits`, one row of the vocabulary after the
  /// other. Returns how many rows those are.
  func compute(
    _ pass: ForwardPass, of slices: [SequenceSlice], observer: (any KVObserver)?,
    logits: UnsafeMutablePointer<Float>?
  ) -> Int {
    embed(pass, of: slices)
    var blocks: [UnsafeMutableRawPointer] = unsafe []
    for piece in pass.pieces {
      let slice = slices[piece.slice]
      let end = slice.firstPosition + piece.offset + piece.count
      for address in slice.blocks[..<geometry.blockCount(tokens: end)] {
        // `forward` has refused null addresses.
        guard let pointer = unsafe UnsafeMutableRawPointer(bitPattern: address.rawValue) else {
          preconditionFailure("a block has no address")
        }
        unsafe blocks.append(pointer)
      }
    }
    unsafe blocks.withUnsafeBufferPointer { table in
      let pieces = unsafe kernelSlices(pass, of: slices, blocks: table)
      unsafe pieces.withUnsafeBufferPointer { pieces in
        guard let start = pieces.baseAddress else { return }
        for layer in weights.layers.indices {
          unsafe attend(layer, pass.tokenCount, start, pieces.count)
          if let observer { tell(observer, of: layer, pass, slices) }
          feedForward(weights.layers[layer], pass.tokenCount)
        }
      }
    }
    guard let logits = unsafe logits else { return 0 }
    return unsafe project(pass, of: slices, to: logits)
  }

  private func tell(
    _ observer: any KVObserver, of layer: Int, _ pass: ForwardPass, _ slices: [SequenceSlice]
  ) {
    for piece in pass.pieces {
      let first = slices[piece.slice].firstPosition + piece.offset
      observer.stored(layer: layer, slice: piece.slice, positions: first..<first + piece.count)
    }
  }

  private func kernelSlices(
    _ pass: ForwardPass, of slices: [SequenceSlice],
    blocks: UnsafeBufferPointer<UnsafeMutableRawPointer>
  ) -> [ck_slice] {
    var result: [ck_slice] = unsafe []
    guard var table = blocks.baseAddress else { return unsafe result }
    var row = 0
    for piece in pass.pieces {
      let first = slices[piece.slice].firstPosition + piece.offset
      unsafe result.append(
        ck_slice(
          blocks: table, first_position: first, token_count: piece.count, first_row: row))
      unsafe table += geometry.blockCount(tokens: first + piece.count)
      row += piece.count
    }
    return unsafe result
  }

  private func embed(_ pass: ForwardPass, of slices: [SequenceSlice]) {
    let hidden = configuration.hiddenSize
    let dimension = configuration.headDimension
    var row = 0
    for piece in pass.pieces {
      let slice = slices[piece.slice]
      for offset in piece.offset..<(piece.offset + piece.count) {
        unsafe weights.embedding.copyRow(
          Int(slice.tokens[offset]), to: scratch.hidden.start + row * hidden)
        unsafe ck_rotary_angles(
          slice.firstPosition + offset, inverseFrequencies.start, dimension / 2,
          scratch.angles.start + row * dimension)
        row += 1
      }
    }
  }

  private var attentionShape: ck_attention_shape {
    ck_attention_shape(
      data_type: geometry.groups[0].dataType == .bfloat16 ? CK_BFLOAT16 : CK_FLOAT32,
      block_tokens: geometry.blockTokens,
      kv_heads: configuration.keyValueHeads,
      query_heads: configuration.queryHeads,
      head_dimension: configuration.headDimension)
  }

  /// hidden += attention(norm(hidden)) for `rows` rows.
  private func attend(
    _ index: Int, _ rows: Int, _ slices: UnsafePointer<ck_slice>, _ sliceCount: Int
  ) {
    let layer = weights.layers[index]
    var shape = attentionShape
    unsafe normalise(scratch.hidden.start, layer.inputNorm, rows)
    unsafe multiply(
      scratch.normalised.start, rows,
      [
        layer.query.multiplication(into: scratch.queries.start),
        layer.key.multiplication(into: scratch.keys.start),
        layer.value.multiplication(into: scratch.values.start),
      ], depth: layer.query.depth)
    unsafe ck_rotate(
      team.handle, &shape, rows, scratch.angles.start, scratch.queries.start, scratch.keys.start)
    unsafe ck_store(
      team.handle, &shape, index, slices, sliceCount, scratch.keys.start, scratch.values.start)
    // One over the square root, rounded once each, as Hugging Face's scaling is.
    let scale = 1 / Float(configuration.headDimension).squareRoot()
    unsafe ck_attend(
      team.handle, &shape, index, slices, sliceCount, scratch.queries.start, scale,
      scratch.scores.start, configuration.contextTokens, scratch.attended.start)
    unsafe multiply(
      scratch.attended.start, rows,
      [layer.attentionOutput.multiplication(into: scratch.projected.start)],
      depth: layer.attentionOutput.depth)
    unsafe ck_add(
      scratch.hidden.start, scratch.projected.start, rows * configuration.hiddenSize)
  }

  /// hidden += down(silu(gate(x)) * up(x)) with x = norm(hidden), for `rows` rows.
  private func feedForward(_ layer: LlamaWeights.Layer, _ rows: Int) {
    unsafe normalise(scratch.hidden.start, layer.feedForwardNorm, rows)
    unsafe multiply(
      scratch.normalised.start, rows,
      [
        layer.gate.multiplication(into: scratch.gate.start),
        layer.up.multiplication(into: scratch.up.start),
      ], depth: layer.gate.depth)
    unsafe ck_silu_multiply(
      team.handle, scratch.gate.start, scratch.up.start, rows, configuration.intermediateSize)
    unsafe multiply(
      scratch.gate.start, rows, [layer.down.multiplication(into: scratch.projected.start)],
      depth: layer.down.depth)
    unsafe ck_add(
      scratch.hidden.start, scratch.projected.start, rows * configuration.hiddenSize)
  }

  /// Gathers the last rows of the slices that want logits, and computes those.
  private func project(
    _ pass: ForwardPass, of slices: [SequenceSlice], to logits: UnsafeMutablePointer<Float>
  ) -> Int {
    let hidden = configuration.hiddenSize
    var wanted = 0
    var row = 0
    for piece in pass.pieces {
      row += piece.count
      let slice = slices[piece.slice]
      guard slice.wantsLogits, piece.offset + piece.count == slice.tokens.count else { continue }
      unsafe (scratch.projected.start + wanted * hidden).update(
        from: scratch.hidden.start + (row - 1) * hidden, count: hidden)
      wanted += 1
    }
    unsafe normalise(scratch.projected.start, weights.finalNorm, wanted)
    unsafe multiply(
      scratch.normalised.start, wanted, [weights.output.multiplication(into: logits)],
      depth: hidden)
    return wanted
  }

  private func normalise(_ x: UnsafePointer<Float>, _ weight: FloatBuffer, _ rows: Int) {
    unsafe ck_rms_norm(
      team.handle, x, weight.start, configuration.normEpsilon, rows, configuration.hiddenSize,
      scratch.normalised.start)
  }

  private func multiply(
    _ x: UnsafePointer<Float>, _ rows: Int, _ matrices: [ck_matrix], depth: Int
  ) {
    unsafe ck_multiply(team.handle, x, rows, depth, matrices, matrices.count)
  }
}
