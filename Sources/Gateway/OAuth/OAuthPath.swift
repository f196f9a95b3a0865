import HTTP1

/// The paths that the gateway answers itself if it has a token endpoint.
enum OAuthPath: String, CaseIterable {
  case token = "/oauth/token"
  case revoke = "/oauth/revoke"
  case authorize = "/oauth/authorize"
  case serverMetadata = "/.well-known/oauth-authorization-server"
  case resourceMetadata = "/.well-known/oauth-protected-resource"

  init?(_ bytes: Span<UInt8>, _ path: Range<Int>) {
    // Return before allocating: most paths are those of requests to Core.
    guard path.count >= 12, path.count <= 40, bytes[path.lowerBound + 1] != UInt8(ascii: "p") else { return nil }
    let text = String(decoding: (path.lowerBound..<path.upperBound).map { bytes[$0] }, as: UTF8.self)
    self.init(rawValue: text)
  }

  /// Whether it takes a form by POST; the others are read.
  var takesForm: Bool {
    switch self {
    case .token, .revoke: true
    case .authorize, .serverMetadata, .resourceMetadata: false
    }
  }
}
