extension Duration {
  /// Rounded towards zero; negative durations are 0.
  package var wholeMicroseconds: UInt64 {
    let (seconds, attoseconds) = max(self, .zero).components
    return UInt64(seconds) * 1_000_000 + UInt64(attoseconds / 1_000_000_000_000)
  }

  /// Rounded towards zero; negative durations are 0.
  package var wholeMilliseconds: UInt64 { wholeMicroseconds / 1_000 }
}
