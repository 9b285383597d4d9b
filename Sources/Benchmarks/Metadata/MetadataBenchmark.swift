import ControlProtocol
import ControlWire
import Foundation
import KVCore

/// Measures what tickets and progress of long prompts take on the wire, and what encoding and
/// decoding them costs: as JSON, packed as the protocol has them, and packed and compressed.
///
/// Frame headers are left out, which are the same for all. Every payload is compressed here, below
/// `PayloadCompression.thresholdBytes` too, so that the threshold can be told from the figures.
package enum MetadataBenchmark {
  /// - Parameter tokens: lengths of prompts.
  package static func run(
    tokens lengths: [Int] = [1 << 10, 16 << 10, 128 << 10, 1 << 20]
  ) throws -> MetadataResult {
    var figures: [MetadataFigures] = []
    for kind in MetadataSubject.Kind.allCases {
      for tokens in lengths {
        for placement in MetadataSubject.Placement.allCases {
          figures.append(try measure(try MetadataSubject(kind, placement, tokens: tokens)))
        }
      }
    }
    return MetadataResult(figures: figures)
  }

  private static func measure(_ subject: MetadataSubject) throws -> MetadataFigures {
    let (encoder, decoder) = (JSONEncoder(), JSONDecoder())
    let json = try form(
      subject.plain, encode: { try encoder.encode($0) },
      decode: { try decoder.decode(PlainMetadata.self, from: $0) }, bytes: \.count)
    let type = subject.kind == .ticket ? MessageType.prefillAccepted : .prefillProgress
    let packed = try form(
      subject.messages, encode: { MessageCodec.payload(of: $0) },
      decode: { try decode(type, $0) }, bytes: \.count)
    let compressed = try form(
      subject.messages, encode: { compress(MessageCodec.payload(of: $0)) },
      decode: { try decode(type, try decompress($0)) },
      bytes: { parts in parts.reduce(0) { $0 + $1.bytes.count } })
    return MetadataFigures(
      kind: subject.kind.rawValue, placement: subject.placement.rawValue, tokens: subject.tokens,
      json: json, packed: packed, compressed: compressed)
  }

  private static func decode(
    _ type: MessageType, _ payload: [UInt8]
  ) throws(BatonError) -> Message {
    try MessageCodec.decode(type: type.rawValue, payload: payload.span)
  }

  /// One frame's part of a payload.
  private struct Part {
    let bytes: [UInt8]
    let isCompressed: Bool
  }

  /// As `FrameEncoder` does it: each frame's part for itself, where it gets shorter.
  private static func compress(_ payload: [UInt8]) -> [Part] {
    stride(from: 0, to: payload.count, by: Limits.maximumFramePayloadBytes).map { start in
      let end = min(payload.count, start + Limits.maximumFramePayloadBytes)
      if let frame = PayloadCompression.compress(payload.span.extracting(start..<end)) {
        return Part(bytes: frame, isCompressed: true)
      }
      return Part(bytes: Array(payload[start..<end]), isCompressed: false)
    }
  }

  private static func decompress(_ parts: [Part]) throws(BatonError) -> [UInt8] {
    var payload: [UInt8] = []
    for part in parts {
      if part.isCompressed {
        payload += try PayloadCompression.decompress(
          part.bytes.span, maximumBytes: Limits.maximumFramePayloadBytes)
      } else {
        payload += part.bytes
      }
    }
    return payload
  }

  /// Encodes all of `values` and decodes them again, many times.
  ///
  /// - Parameter bytes: of one encoded value.
  private static func form<Value: Equatable, Encoded>(
    _ values: [Value], encode: (Value) throws -> Encoded, decode: (Encoded) throws -> Value,
    bytes: (Encoded) -> Int
  ) throws -> MetadataFigures.Form {
    let encoded = try values.map(encode)
    let byteCount = encoded.reduce(0) { $0 + bytes($1) }
    // So many at once that the clock's own time is nothing beside them.
    let batch = max(1, BenchmarkLimits.metadataBatchBytes / byteCount)
    var (encoding, decoding) = (Samples(), Samples())
    for _ in 0..<BenchmarkLimits.metadataRounds {
      var encodedBytes = 0
      let start = ContinuousClock.now
      for _ in 0..<batch {
        for value in values { encodedBytes += bytes(try encode(value)) }
      }
      let middle = ContinuousClock.now
      var decoded: [Value] = []
      for _ in 0..<batch { decoded = try encoded.map(decode) }
      let end = ContinuousClock.now
      guard encodedBytes == batch * byteCount, decoded == values else {
        throw BatonError(.internalError, "a value did not survive encoding and decoding")
      }
      encoding.add((middle - start) / batch)
      decoding.add((end - middle) / batch)
    }
    return MetadataFigures.Form(
      bytes: byteCount, encoding: encoding.percentile(0.5) ?? .zero,
      decoding: decoding.percentile(0.5) ?? .zero)
  }
}
