import Foundation
import HTTPTypes

/// What the edge serves.
enum EdgeRoute: Hashable {
  case completions
  case models
  /// One model, by the name that clients call it.
  case model(String)
  case health
  case readiness
  case metrics

  private static let fixedPaths: KeyValuePairs<String, EdgeRoute> = [
    "/v1/completions": .completions, "/v1/models": .models, "/health": .health,
    "/readiness": .readiness, "/metrics": .metrics,
  ]
  /// What comes before a model's name, which may have slashes of its own.
  private static let modelPrefix = "/v1/models/"

  private var methods: [HTTPRequest.Method] {
    switch self {
    case .completions: [.post]
    case .models, .model, .health, .readiness, .metrics: [.get, .head]
    }
  }

  /// Throws `APIError` with status 404 for a path that is not served and 405 for another method.
  static func matching(method: HTTPRequest.Method, path: String) throws(APIError) -> EdgeRoute {
    guard let route = route(of: path) else {
      let served = fixedPaths.map(\.key) + [modelPrefix + "{model}"]
      throw APIError(
        status: 404,
        message: "\(path.shortened): no such path; served are \(served.joined(separator: ", "))",
        type: "invalid_request_error", code: "unknown_url")
    }
    guard route.methods.contains(method) else {
      let allowed = route.methods.map(\.rawValue)
      var error = APIError(
        status: 405,
        message: "\(path.shortened): \(method.rawValue) is not allowed; allowed is "
          + allowed.joined(separator: " or "),
        type: "invalid_request_error", code: "method_not_allowed")
      error.allowedMethods = allowed
      throw error
    }
    return route
  }

  private static func route(of path: String) -> EdgeRoute? {
    if let (_, route) = fixedPaths.first(where: { $0.key == path }) { return route }
    guard path.hasPrefix(modelPrefix),
      let name = path.dropFirst(modelPrefix.count).removingPercentEncoding, !name.isEmpty
    else { return nil }
    return .model(name)
  }
}
