package import NIOCore

extension APIError {
  /// `{"error": {"message", "type", "param", "code"}}`.
  package var json: ByteBuffer {
    var writer = JSONWriter()
    writer.object { writer in
      writer.name("error")
      writer.object { writer in
        writer.name("message")
        writer.value(message)
        writer.name("type")
        writer.value(type)
        writer.name("param")
        writer.value(parameter)
        writer.name("code")
        writer.value(code)
      }
    }
    return writer.buffer
  }
}
