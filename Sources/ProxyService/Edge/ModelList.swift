import KVCore
package import NIOCore

/// The answers of `GET /v1/models` and `GET /v1/models/{model}`.
package enum ModelList {
  package static func json(_ models: [ServedModel]) -> ByteBuffer {
    var writer = JSONWriter()
    writer.object { writer in
      writer.name("object")
      writer.value("list")
      writer.name("data")
      writer.array(models) { write(to: &$0, $1) }
    }
    return writer.buffer
  }

  package static func json(_ model: ServedModel) -> ByteBuffer {
    var writer = JSONWriter()
    write(to: &writer, model)
    return writer.buffer
  }

  private static func write(to writer: inout JSONWriter, _ model: ServedModel) {
    writer.object { writer in
      writer.name("id")
      writer.value(model.name)
      writer.name("object")
      writer.value("model")
      writer.name("created")
      writer.value(model.createdSeconds)
      writer.name("owned_by")
      writer.value("baton")
      writer.name("max_model_len")
      writer.value(model.contextTokens)
    }
  }
}

extension GenerationBackend {
  /// The model that clients call `name`, or the first one where they name none.
  ///
  /// Throws `APIError`: 404 where others are served, 503 while none is known yet.
  func model(named name: String?) throws(APIError) -> ServedModel {
    let models = models()
    if let model = models.first(where: { name == nil || $0.name == name }) { return model }
    if let name, !models.isEmpty { throw .unknownModel(name, models: models) }
    let reason =
      switch readiness {
      case .ready: "no model is known yet"
      case .notReady(let reason): reason
      }
    throw APIError(BatonError(.unavailable, reason))
  }
}
