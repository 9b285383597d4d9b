import KVCore

/// What one run of `baton bench migrate` found.
package struct MigrateResult: Sendable {
  package let options: MigrateOptions
  /// What the pools really lie on: `4k`, `huge`, or `mixed`.
  package let pages: String
  /// Threads that copy, and that the limit is measured with.
  package let threads: Int
  package let p50: Duration
  package let p99: Duration
  /// The median of the fastest plain copy of the same blocks.
  package let limit: Duration
  /// Which one that was.
  package let limitName: String
  /// Spent on each of those.
  package let limitProcessorTime: Duration
  /// For each migration: of the thread that copies, or of both processes where data connections
  /// bring the bytes.
  package let processorTime: Duration
  package let rounds: Int

  package init(
    options: MigrateOptions, pages: String, threads: Int, p50: Duration, p99: Duration,
    limit: Duration, limitName: String, limitProcessorTime: Duration, processorTime: Duration,
    rounds: Int
  ) {
    self.options = options
    self.pages = pages
    self.threads = threads
    self.p50 = p50
    self.p99 = p99
    self.limit = limit
    self.limitName = limitName
    self.limitProcessorTime = limitProcessorTime
    self.processorTime = processorTime
    self.rounds = rounds
  }

  /// 10^9 bytes a second, by the median.
  package var gigabytesPerSecond: Double { Self.rate(options.bytes, in: p50) }
  package var limitGigabytesPerSecond: Double { Self.rate(options.bytes, in: limit) }
  package var ratio: Double { limit / p50 }

  package var processorSecondsPerGibibyte: Double { perGibibyte(processorTime) }

  private func perGibibyte(_ time: Duration) -> Double {
    time / .seconds(1) / (Double(options.bytes.rawValue) / 1_073_741_824)
  }

  private static func rate(_ bytes: ByteCount, in time: Duration) -> Double {
    Double(bytes.rawValue) / (time / .nanoseconds(1))
  }

  /// One JSON object (RFC 8259) in one line.
  package var json: String {
    let members: [(String, String)] = [
      ("transport", "\"\(options.transport.rawValue)\""),
      ("mode", "\"\(options.mode.rawValue)\""),
      ("blocks", "\(options.blocks)"),
      ("block_bytes", "\(options.blockBytes.rawValue)"),
      ("tokens", "\(options.tokens)"),
      ("bytes", "\(options.bytes.rawValue)"),
      ("p50_us", Self.decimal(p50 / .microseconds(1), 3)),
      ("p99_us", Self.decimal(p99 / .microseconds(1), 3)),
      ("gigabytes_per_second", Self.decimal(gigabytesPerSecond, 3)),
      ("limit_gigabytes_per_second", Self.decimal(limitGigabytesPerSecond, 3)),
      ("ratio", Self.decimal(ratio, 4)),
      ("verify", "\"\(options.verify.rawValue)\""),
      ("pages", "\"\(pages)\""),
      ("threads", "\(threads)"),
      ("cpu_seconds_per_gib", Self.decimal(processorSecondsPerGibibyte, 6)),
    ]
    return "{" + members.map { "\"\($0)\": \($1)" }.joined(separator: ", ") + "}"
  }

  /// A few lines for people.
  package var table: String {
    let what = "\(options.blocks) blocks of \(options.blockBytes), \(options.placement.rawValue)"
    let head =
      "\(options.transport.rawValue) \(options.mode.rawValue) of \(options.tokens) tokens: "
      + "\(what), \(options.bytes)\npages \(pages), threads \(threads), verify "
      + "\(options.verify.rawValue), rounds \(rounds)\n"
    let micro = Duration.microseconds(1)
    let rows = [
      ["", "p50 µs", "p99 µs", "GB/s", "CPU s/GiB"],
      [
        options.mode.rawValue, Self.decimal(p50 / micro, 1), Self.decimal(p99 / micro, 1),
        Self.decimal(gigabytesPerSecond, 2), Self.decimal(processorSecondsPerGibibyte, 3),
      ],
      [
        "limit (\(limitName))", Self.decimal(limit / micro, 1), "",
        Self.decimal(limitGigabytesPerSecond, 2),
        Self.decimal(perGibibyte(limitProcessorTime), 3),
      ],
      ["ratio", "", "", Self.decimal(ratio, 3), ""],
    ]
    return head + rows.map(Self.line).joined(separator: "\n")
  }

  /// Cells in columns, the first of them to the left.
  static func line(_ cells: [String]) -> String {
    let first = cells[0].padding(to: 28)
    return cells.dropFirst().reduce(first) { line, cell in
      line + String(repeating: " ", count: max(1, 12 - cell.count)) + cell
    }
  }

  /// `value` with `digits` digits after the point, rounded to the nearest.
  package static func decimal(_ value: Double, _ digits: Int) -> String {
    let scale = (0..<digits).reduce(1.0) { scale, _ in scale * 10 }
    let scaled = Int64((value * scale).rounded())
    let whole = scaled / Int64(scale)
    let rest = "\(scaled % Int64(scale))"
    guard digits > 0 else { return "\(whole)" }
    return "\(whole)." + String(repeating: "0", count: digits - rest.count) + rest
  }
}

extension String {
  fileprivate func padding(to width: Int) -> String {
    self + String(repeating: " ", count: max(0, width - count))
  }
}
