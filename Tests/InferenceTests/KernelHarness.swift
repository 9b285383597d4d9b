import CKernels
import Inference

/// Runs single kernels on arrays, on any instruction set that the CPU has.
struct KernelHarness {
  let path: ck_path
  let threads: UInt32

  init(_ path: ck_path, threads: UInt32 = 1) {
    self.path = path
    self.threads = threads
  }

  /// The vector paths that this CPU can run, for comparison with the portable one; says loudly
  /// which ones it cannot.
  static let vectorPaths: [ck_path] = [CK_AVX2, CK_AVX512].filter { path in
    let isAvailable = ck_path_available(path)
    if !isAvailable { print("SKIPPED: this CPU cannot run kernel path \(path.rawValue)") }
    return isAvailable
  }

  private func withTeam<Result>(_ body: (OpaquePointer) -> Result) -> Result {
    guard let team = unsafe ck_team_create(path, threads) else {
      preconditionFailure("no team of \(threads) threads")
    }
    defer { unsafe ck_team_destroy(team) }
    return unsafe body(team)
  }

  /// The products of `x`, `[rows, depth]`, with each of `weights`.
  func multiply(_ x: [Float], rows: Int, depth: Int, weights: [Weights]) -> [[Float]] {
    var outputs = weights.map { [Float](repeating: .nan, count: rows * $0.rows(depth: depth)) }
    unsafe withTeam { team in
      for index in weights.indices {
        unsafe weights[index].withBytes { bytes in
          unsafe outputs[index].withUnsafeMutableBufferPointer { output in
            guard let source = bytes.baseAddress, let target = output.baseAddress else { return }
            var matrix = unsafe ck_matrix(
              weights: source, data_type: weights[index].dataType,
              rows: weights[index].rows(depth: depth), output: target)
            unsafe ck_multiply(team, x, rows, depth, &matrix, 1)
          }
        }
      }
    }
    return outputs
  }

  func rmsNorm(_ x: [Float], _ weight: [Float], epsilon: Float, rows: Int) -> [Float] {
    var output = [Float](repeating: .nan, count: x.count)
    unsafe withTeam {
      unsafe ck_rms_norm($0, x, weight, epsilon, rows, weight.count, &output)
    }
    return output
  }

  func siluMultiply(gate: [Float], up: [Float], rows: Int) -> [Float] {
    var output = gate
    unsafe withTeam { unsafe ck_silu_multiply($0, &output, up, rows, gate.count / rows) }
    return output
  }

  func exponentials(_ x: [Float], maximum: Float = 0, temperature: Float = 1) -> [Float] {
    var output = [Float](repeating: .nan, count: x.count)
    unsafe ck_exponentials(path, x, x.count, maximum, temperature, &output)
    return output
  }

  /// What a block of one token holds as K in bfloat16 when `numbers` are its keys.
  func store(_ numbers: [Float]) -> [UInt16] {
    var block = [UInt16](repeating: 0, count: numbers.count * 2)
    var shape = ck_attention_shape(
      data_type: CK_BFLOAT16, block_tokens: 1, kv_heads: 1, query_heads: 1,
      head_dimension: numbers.count)
    unsafe block.withUnsafeMutableBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      unsafe withUnsafePointer(to: base) { table in
        unsafe withTeam { team in
          var slice = unsafe ck_slice(
            blocks: table, first_position: 0, token_count: 1, first_row: 0)
          unsafe ck_store(team, &shape, 0, &slice, 1, numbers, numbers)
        }
      }
    }
    return Array(block[..<numbers.count])
  }

  /// Stores the keys and values of all tokens and attends for the last `queryTokens`.
  func attend(_ attention: AttentionCase) -> [Float] {
    var shape = attention.shape
    let heads = attention.shape
    let blockCount =
      (attention.tokens + heads.block_tokens - 1) / heads.block_tokens
    let elementBytes = heads.data_type == CK_FLOAT32 ? 4 : 2
    let blockBytes =
      AttentionCase.layers * 2 * heads.kv_heads * heads.block_tokens * heads.head_dimension
      * elementBytes
    var memory = [UInt8](repeating: 0xFF, count: blockCount * blockBytes)
    let first = attention.tokens - attention.queryTokens
    var output = [Float](repeating: .nan, count: attention.queries.count)
    var scratch = [Float](
      repeating: .nan, count: ck_attention_scratch_floats(threads, attention.tokens))
    unsafe memory.withUnsafeMutableBytes { memory in
      guard let base = memory.baseAddress else { return }
      let blocks = unsafe (0..<blockCount).map { unsafe base + $0 * blockBytes }
      unsafe blocks.withUnsafeBufferPointer { blocks in
        guard let table = blocks.baseAddress else { return }
        unsafe withTeam { team in
          var all = unsafe ck_slice(
            blocks: table, first_position: 0, token_count: attention.tokens, first_row: 0)
          unsafe ck_store(
            team, &shape, 1, &all, 1, attention.keys, attention.values)
          var last = unsafe ck_slice(
            blocks: table, first_position: first, token_count: attention.queryTokens, first_row: 0)
          unsafe ck_attend(
            team, &shape, 1, &last, 1, attention.queries, attention.scale, &scratch,
            attention.tokens, &output)
        }
      }
    }
    return output
  }
}

/// A weight matrix in one of the stored types.
enum Weights {
  case float32([Float])
  case bfloat16([UInt16])

  var dataType: ck_data_type {
    switch self {
    case .float32: CK_FLOAT32
    case .bfloat16: CK_BFLOAT16
    }
  }

  /// The numbers as the kernels widen them.
  var floats: [Float] {
    switch self {
    case .float32(let numbers): numbers
    case .bfloat16(let numbers): numbers.map { Float(bitPattern: UInt32($0) << 16) }
    }
  }

  func rows(depth: Int) -> Int { floats.count / depth }

  func withBytes(_ body: (UnsafeRawBufferPointer) -> Void) {
    switch self {
    case .float32(let numbers): unsafe numbers.withUnsafeBytes { unsafe body($0) }
    case .bfloat16(let numbers): unsafe numbers.withUnsafeBytes { unsafe body($0) }
    }
  }
}

/// One sequence's attention in the second of two layers.
struct AttentionCase: CustomStringConvertible {
  static let layers = 2

  let shape: ck_attention_shape
  let tokens: Int
  let queryTokens: Int
  let queries: [Float]
  let keys: [Float]
  let values: [Float]
  var scale: Float { 1 / Float(shape.head_dimension).squareRoot() }

  init(
    _ dataType: ck_data_type, queryHeads: Int, keyValueHeads: Int, headDimension: Int,
    blockTokens: Int, tokens: Int, queryTokens: Int
  ) {
    shape = ck_attention_shape(
      data_type: dataType, block_tokens: blockTokens, kv_heads: keyValueHeads,
      query_heads: queryHeads, head_dimension: headDimension)
    self.tokens = tokens
    self.queryTokens = queryTokens
    queries = numbers(queryTokens * queryHeads * headDimension, seed: 1, scale: 4)
    keys = numbers(tokens * keyValueHeads * headDimension, seed: 2)
    values = numbers(tokens * keyValueHeads * headDimension, seed: 3)
  }

  var description: String {
    "\(shape.query_heads)/\(shape.kv_heads) heads of \(shape.head_dimension), "
      + "\(tokens) tokens in blocks of \(shape.block_tokens), type \(shape.data_type.rawValue)"
  }
}

/// Pseudo-random numbers between -scale and scale, the same in every run.
func numbers(_ count: Int, seed: UInt64, scale: Float = 1) -> [Float] {
  (0..<count).map {
    (Float(Philox.uniform(seed: seed, position: $0)) * 2 - 1) * scale
  }
}

/// Pseudo-random bfloat16 numbers.
func halves(_ count: Int, seed: UInt64) -> [UInt16] {
  numbers(count, seed: seed).map { UInt16($0.bitPattern >> 16) }
}
