import CKernels
import KVCore

/// One tensor of a checkpoint, in place in its file's mapping.
@safe struct StoredTensor: @unchecked Sendable {
  // SAFETY: `address` points into `file`'s read-only mapping, which this value keeps alive.

  let file: FileMapping
  let address: UnsafeRawPointer
  let dataType: ck_data_type
  let shape: [Int]
}

/// A safetensors file: a little-endian 64-bit length, so many bytes of JSON that name each tensor's
/// type, shape and place, then the data (https://huggingface.co/docs/safetensors).
struct SafetensorsFile: Sendable {
  /// By name.
  let tensors: [String: StoredTensor]

  /// The limit that the reference implementation sets.
  private static let maximumHeaderBytes = 100_000_000

  /// Checks every entry of the header against the file's size.
  ///
  /// Throws `BatonError` with `invalidArgument` that names the file and the tensor.
  init(_ file: FileMapping) throws(BatonError) {
    let bytes = unsafe file.bytes
    guard bytes.count >= 8 else {
      throw Self.refusal(file, "is \(bytes.count) bytes, too short for the header's length")
    }
    let length = unsafe UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    guard length <= UInt64(bytes.count - 8), length <= UInt64(Self.maximumHeaderBytes) else {
      throw Self.refusal(
        file, "has a header of \(length) bytes in a file of \(bytes.count)")
    }
    let header = unsafe bytes[8..<(8 + Int(length))]
    let data = unsafe UnsafeRawBufferPointer(rebasing: bytes[(8 + Int(length))...])
    var tensors: [String: StoredTensor] = [:]
    var places: [(name: String, bytes: Range<Int>)] = []
    let entries = try unsafe JSONValue.object(in: header, file: file.path)
    // In the order of their names, so that of several faults the same one is told every time.
    for (name, value) in entries.sorted(by: { $0.key < $1.key }) where name != "__metadata__" {
      let (tensor, bytes) = try unsafe Self.tensor(name, value, data, file)
      tensors[name] = tensor
      places.append((name, bytes))
    }
    try Self.requireNoHoles(places, dataBytes: data.count, file)
    self.tensors = tensors
  }

  /// The format has every byte of the data belong to one tensor.
  private static func requireNoHoles(
    _ places: [(name: String, bytes: Range<Int>)], dataBytes: Int, _ file: FileMapping
  ) throws(BatonError) {
    var end = 0
    let inOrder = places.sorted {
      ($0.bytes.lowerBound, $0.bytes.upperBound) < ($1.bytes.lowerBound, $1.bytes.upperBound)
    }
    for (name, bytes) in inOrder {
      guard bytes.lowerBound == end else {
        throw refusal(
          file,
          "tensor \(name): data_offsets start at \(bytes.lowerBound) where the tensor before ends "
            + "at \(end); they must follow each other")
      }
      end = bytes.upperBound
    }
    guard end == dataBytes else {
      throw refusal(file, "has \(dataBytes) bytes of data, of which tensors have \(end)")
    }
  }

  private static func tensor(
    _ name: String, _ value: JSONValue, _ data: UnsafeRawBufferPointer, _ file: FileMapping
  ) throws(BatonError) -> (StoredTensor, bytes: Range<Int>) {
    guard case .object(let members) = value else {
      throw refusal(file, "tensor \(name) is \(value), not an object")
    }
    let dataType: ck_data_type
    let elementBytes: Int
    switch members["dtype"] {
    case .string("F32"): (dataType, elementBytes) = (CK_FLOAT32, 4)
    case .string("BF16"): (dataType, elementBytes) = (CK_BFLOAT16, 2)
    case let other:
      throw refusal(
        file, "tensor \(name): dtype is \(other ?? .null); allowed: \"F32\", \"BF16\"")
    }
    let shape = try integers("shape", of: name, in: members, file)
    let offsets = try integers("data_offsets", of: name, in: members, file)
    var byteCount = elementBytes
    for dimension in shape {
      let (product, overflows) = byteCount.multipliedReportingOverflow(by: dimension)
      guard !overflows else { throw refusal(file, "tensor \(name): shape \(shape) overflows") }
      byteCount = product
    }
    guard offsets.count == 2, offsets[0] <= offsets[1], offsets[1] <= data.count else {
      throw refusal(
        file,
        "tensor \(name): data_offsets \(offsets) do not lie in the \(data.count) bytes of "
          + "data; the file may be truncated")
    }
    guard offsets[1] - offsets[0] == byteCount else {
      throw refusal(
        file, "tensor \(name): data_offsets \(offsets) do not hold shape \(shape) of \(dataType)")
    }
    guard let base = data.baseAddress,
      (UInt(bitPattern: base) + UInt(offsets[0])) % UInt(elementBytes) == 0
    else {
      throw refusal(
        file,
        "tensor \(name): data_offsets \(offsets) after a header of "
          + "\(file.byteCount - data.count - 8) bytes are not aligned to \(elementBytes) bytes; "
          + "the safetensors package writes aligned files")
    }
    let tensor = unsafe StoredTensor(
      file: file, address: base + offsets[0], dataType: dataType, shape: shape)
    return (tensor, offsets[0]..<offsets[1])
  }

  private static func integers(
    _ field: String, of name: String, in members: [String: JSONValue], _ file: FileMapping
  ) throws(BatonError) -> [Int] {
    let value = members[field] ?? .null
    let wrong = refusal(file, "tensor \(name): \(field) is \(value), not a list of sizes")
    guard case .array(let list) = value else { throw wrong }
    var numbers: [Int] = []
    for element in list {
      guard case .integer(let number) = element, number >= 0 else { throw wrong }
      numbers.append(number)
    }
    return numbers
  }

  private static func refusal(_ file: FileMapping, _ reason: String) -> BatonError {
    BatonError(.invalidArgument, "\(file.path): \(reason)")
  }
}
