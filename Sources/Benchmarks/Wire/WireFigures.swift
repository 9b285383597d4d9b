/// What one message costs to encode and to decode.
package struct CodecFigures: Sendable {
  package let name: String
  /// Of its frames.
  package let bytes: Int
  package let encoding: Duration
  package let decoding: Duration
}

/// Round trips over one kind of socket, beside echoes of as many bytes.
package struct RoundTripFigures: Sendable {
  /// `unix` or `tcp`.
  package let transport: String
  /// How many were on their way at once.
  package let inFlight: Int
  /// A second, by the median of the rounds.
  package let pings: Double
  package let requests: Double
  package let echoes: Double
  /// The same echo, asked for and waited for by tasks.
  package let taskEchoes: Double
}

/// What sending token chunks costs each end, in processor time of the whole process.
package struct ChunkFigures: Sendable {
  package let chunks: Int
  /// For each chunk.
  package let sending: Duration
  package let receiving: Duration
  /// Chunks a second.
  package let rate: Double
}

/// What one run of `baton bench wire` found.
package struct WireResult: Sendable {
  package let codecs: [CodecFigures]
  package let roundTrips: [RoundTripFigures]
  package let chunks: ChunkFigures

  /// One JSON object (RFC 8259) in each line.
  package var json: String {
    let micro = Duration.microseconds(1)
    func number(_ value: Double, _ digits: Int = 3) -> String {
      MigrateResult.decimal(value, digits)
    }
    var lines = codecs.map { codec in
      "{\"message\": \"\(codec.name)\", \"bytes\": \(codec.bytes), "
        + "\"encode_ns\": \(number(codec.encoding / .nanoseconds(1), 0)), "
        + "\"decode_ns\": \(number(codec.decoding / .nanoseconds(1), 0))}"
    }
    lines += roundTrips.map { trip in
      "{\"transport\": \"\(trip.transport)\", \"in_flight\": \(trip.inFlight), "
        + "\"pings_per_second\": \(number(trip.pings, 0)), "
        + "\"requests_per_second\": \(number(trip.requests, 0)), "
        + "\"echoes_per_second\": \(number(trip.echoes, 0)), "
        + "\"task_echoes_per_second\": \(number(trip.taskEchoes, 0)), "
        + "\"ratio\": \(number(trip.echoes / trip.requests)), "
        + "\"task_ratio\": \(number(trip.taskEchoes / trip.requests))}"
    }
    lines.append(
      "{\"token_chunks\": \(chunks.chunks), \"send_cpu_us\": \(number(chunks.sending / micro)), "
        + "\"receive_cpu_us\": \(number(chunks.receiving / micro)), "
        + "\"chunks_per_second\": \(number(chunks.rate, 0))}")
    return lines.joined(separator: "\n")
  }

  /// Three small tables for people.
  package var table: String {
    var rows = [["message", "bytes", "encode ns", "decode ns"]]
    rows += codecs.map { codec in
      [
        codec.name, "\(codec.bytes)", MigrateResult.decimal(codec.encoding / .nanoseconds(1), 0),
        MigrateResult.decimal(codec.decoding / .nanoseconds(1), 0),
      ]
    }
    rows.append([])
    rows.append(["round trips", "ping/s", "request/s", "echo/s", "ratio", "task echo/s", "ratio"])
    rows += roundTrips.map { trip in
      [
        "\(trip.transport), \(trip.inFlight) in flight", MigrateResult.decimal(trip.pings, 0),
        MigrateResult.decimal(trip.requests, 0), MigrateResult.decimal(trip.echoes, 0),
        MigrateResult.decimal(trip.echoes / trip.requests, 2),
        MigrateResult.decimal(trip.taskEchoes, 0),
        MigrateResult.decimal(trip.taskEchoes / trip.requests, 2),
      ]
    }
    rows.append([])
    rows.append(["token chunks, unix", "send µs", "receive µs", "chunks/s"])
    rows.append([
      "\(chunks.chunks)", MigrateResult.decimal(chunks.sending / .microseconds(1), 2),
      MigrateResult.decimal(chunks.receiving / .microseconds(1), 2),
      MigrateResult.decimal(chunks.rate, 0),
    ])
    return rows.map { $0.isEmpty ? "" : MigrateResult.line($0) }.joined(separator: "\n")
  }
}
