import HTTPTypes
import HummingbirdCore
import NIOCore

/// A reply that is known as a whole before any of it is written.
struct EdgeReply {
  var status: HTTPResponse.Status
  var fields: HTTPFields
  var body: ByteBuffer

  init(status: HTTPResponse.Status, contentType: String, body: ByteBuffer) {
    self.status = status
    self.body = body
    fields = [.contentType: contentType, .contentLength: "\(body.readableBytes)"]
  }

  static func json(_ body: ByteBuffer) -> EdgeReply {
    EdgeReply(status: .ok, contentType: "application/json", body: body)
  }

  static func text(_ text: String, status: HTTPResponse.Status = .ok) -> EdgeReply {
    EdgeReply(
      status: status, contentType: "text/plain; charset=utf-8", body: ByteBuffer(string: text))
  }

  init(_ error: APIError) {
    self.init(
      status: HTTPResponse.Status(code: error.status), contentType: "application/json",
      body: error.json)
    if let seconds = error.retryAfterSeconds { fields[.retryAfter] = "\(seconds)" }
    if !error.allowedMethods.isEmpty {
      fields[.allow] = error.allowedMethods.joined(separator: ", ")
    }
  }

  /// - Parameter includesBody: false for the answer to HEAD, which has the fields of GET alone.
  @concurrent
  func write(to writer: consuming ResponseWriter, includesBody: Bool = true) async throws {
    let head = HTTPResponse(status: status, headerFields: fields)
    if includesBody {
      try await writer.write(response: head, body: ResponseBody(byteBuffer: body))
    } else {
      try await writer.writeResponse(head)
    }
  }
}

extension HTTPField.Name {
  /// Not spelt `X-` in any registry, but what OpenAI's clients read.
  static let requestID: HTTPField.Name = {
    guard let name = HTTPField.Name("x-request-id") else {
      preconditionFailure("x-request-id is a token of RFC 9110")
    }
    return name
  }()
}
