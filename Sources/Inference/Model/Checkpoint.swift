import KVCore

/// The tensors of a model directory: from model.safetensors, or where there is none from the shards
/// of an index, as transformers chooses.
struct Checkpoint: Sendable {
  /// The mapped weight files, in the order of their names.
  let files: [FileMapping]
  private var tensors: [String: StoredTensor]
  private let directory: String

  private static let singleFile = "model.safetensors"
  private static let indexFile = "model.safetensors.index.json"

  init(directory: String) throws(BatonError) {
    self.directory = directory
    let index = "\(directory)/\(Self.indexFile)"
    let single = "\(directory)/\(Self.singleFile)"
    guard !ModelDirectory.exists(single), ModelDirectory.exists(index) else {
      let file = try FileMapping(path: single)
      files = [file]
      tensors = try SafetensorsFile(file).tensors
      return
    }
    let reader = FieldReader(
      file: index,
      fields: try JSONValue.object(in: FileMapping(path: index).contents, file: index))
    let places = try Self.weightMap(reader)
    var files: [FileMapping] = []
    var tensors: [String: StoredTensor] = [:]
    for name in Set(places.values).sorted() {
      let file = try FileMapping(path: "\(directory)/\(name)")
      files.append(file)
      let shard = try SafetensorsFile(file)
      for (tensor, place) in places where place == name {
        guard let stored = shard.tensors[tensor] else {
          throw reader.refusal(
            "weight_map.\(tensor)", .string(place), allowed: "a file that holds this tensor")
        }
        tensors[tensor] = stored
      }
    }
    self.files = files
    self.tensors = tensors
  }

  /// Takes the tensor `name` out, which must have `shape`.
  mutating func take(_ name: String, shape: [Int]) throws(BatonError) -> StoredTensor {
    guard let tensor = tensors.removeValue(forKey: name) else {
      throw BatonError(.invalidArgument, "\(directory): the weights have no tensor \(name)")
    }
    guard tensor.shape == shape else {
      throw BatonError(
        .invalidArgument,
        "\(tensor.file.path): tensor \(name) has shape \(tensor.shape); config.json asks for "
          + "\(shape)")
    }
    return tensor
  }

  /// Refuses tensors that nobody took: they would change what the model computes.
  ///
  /// Old checkpoints store rotary frequencies, which follow from config.json, and some store the
  /// output projection although it is tied.
  func requireNothingLeft(tiesEmbeddings: Bool) throws(BatonError) {
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      if name.hasSuffix(".rotary_emb.inv_freq") { continue }
      if name == "lm_head.weight", tiesEmbeddings { continue }
      throw BatonError(
        .invalidArgument,
        "\(tensor.file.path): tensor \(name) is not one of a LlamaForCausalLM with this "
          + "config.json")
    }
  }

  private static func weightMap(_ reader: FieldReader) throws(BatonError) -> [String: String] {
    guard let map = try reader.object("weight_map") else {
      throw reader.refusal("weight_map", nil, allowed: "an object of tensor names and files")
    }
    var places: [String: String] = [:]
    for (tensor, value) in map.fields {
      guard case .string(let file) = value, !file.isEmpty, !file.contains("/") else {
        throw map.refusal(tensor, value, allowed: "the name of a file beside the index")
      }
      places[tensor] = file
    }
    return places
  }
}
