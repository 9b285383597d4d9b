import CKernels

/// The activations of one pass, allocated once and used again for every pass.
///
/// All are `[rows, width]`, row-major, with room for `maximumTokens` rows.
struct ForwardScratch: Sendable {
  /// The most tokens that go through the layers together: enough for the products to be bound by
  /// arithmetic, few enough for the activations to stay near the caches.
  static let maximumTokens = 512

  /// The residual stream.
  let hidden: FloatBuffer
  /// The normalised input of attention or of the feed-forward network, and its output.
  let normalised: FloatBuffer
  let projected: FloatBuffer
  let queries: FloatBuffer
  let keys: FloatBuffer
  let values: FloatBuffer
  let attended: FloatBuffer
  let gate: FloatBuffer
  let up: FloatBuffer
  /// Cosines, then sines, of each row's position.
  let angles: FloatBuffer
  /// Attention's scores, for each thread.
  let scores: FloatBuffer

  init(_ configuration: ModelConfiguration, threads: Int) {
    func rows(_ width: Int) -> FloatBuffer {
      FloatBuffer(count: Self.maximumTokens * width)
    }
    hidden = rows(configuration.hiddenSize)
    normalised = rows(configuration.hiddenSize)
    projected = rows(configuration.hiddenSize)
    queries = rows(configuration.queryWidth)
    keys = rows(configuration.keyValueWidth)
    values = rows(configuration.keyValueWidth)
    attended = rows(configuration.queryWidth)
    gate = rows(configuration.intermediateSize)
    up = rows(configuration.intermediateSize)
    angles = rows(configuration.headDimension)
    scores = FloatBuffer(
      count: ck_attention_scratch_floats(UInt32(threads), configuration.contextTokens))
  }
}
