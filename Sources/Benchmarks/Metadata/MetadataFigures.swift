/// What the metadata of one prompt takes in each form.
package struct MetadataFigures: Sendable {
  package struct Form: Sendable {
    /// Of all messages, without the frames' headers.
    package let bytes: Int
    /// Of all messages; medians.
    package let encoding: Duration
    package let decoding: Duration
  }

  /// `ticket`, `progress` or `late`, which is progress in one message.
  package let kind: String
  /// `contiguous`, `runs` or `scattered`.
  package let placement: String
  package let tokens: Int
  package let json: Form
  package let packed: Form
  package let compressed: Form
}

/// What one run of `baton bench metadata` found.
package struct MetadataResult: Sendable {
  package let figures: [MetadataFigures]

  private static func micro(_ duration: Duration) -> String {
    MigrateResult.decimal(duration / .microseconds(1), 1)
  }

  /// One JSON object (RFC 8259) in each line.
  package var json: String {
    func form(_ name: String, _ form: MetadataFigures.Form) -> String {
      "\"\(name)\": {\"bytes\": \(form.bytes), \"encode_us\": \(Self.micro(form.encoding)), "
        + "\"decode_us\": \(Self.micro(form.decoding))}"
    }
    return figures.map { each in
      "{\"metadata\": \"\(each.kind)\", \"blocks\": \"\(each.placement)\", "
        + "\"tokens\": \(each.tokens), \(form("json", each.json)), "
        + "\(form("packed", each.packed)), \(form("zstd", each.compressed))}"
    }.joined(separator: "\n")
  }

  /// A table for people.
  package var table: String {
    var rows = [
      [
        "metadata, tokens", "JSON bytes", "encode µs", "decode µs", "packed", "encode µs",
        "decode µs", "and zstd", "encode µs", "decode µs",
      ]
    ]
    rows += figures.map { each in
      ["\(each.kind), \(each.tokens >> 10)k, \(each.placement)"]
        + [each.json, each.packed, each.compressed].flatMap { form in
          ["\(form.bytes)", Self.micro(form.encoding), Self.micro(form.decoding)]
        }
    }
    return rows.map { MigrateResult.line($0) }.joined(separator: "\n")
  }
}
