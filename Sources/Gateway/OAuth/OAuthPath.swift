import HTTP1

/// The paths that the gateway answers itself if it has a token endpoint.
enum OAuthPath: String, CaseIterable {
  case token = "/oauth/token"
  case revoke = "/oauth/revoke"
  case authorize = "/oauth/authorize"
  case serverMetadata = "/.well-known/oauth-authorization-server"
  case resourceMetadata = "/.well-known/oauth-protected-resource"

  /// - Parameter issuerPath: that of the issuer's URL, which follows that of its documents (RFC 8414 §3.1, RFC 9728 §3.1).
  init?(_ bytes: Span<UInt8>, _ path: Range<Int>, issuerPath: Substring) {
    // Return before allocating: most paths are those of requests to Core.
    guard Self.mayBe(bytes, path), path.count <= Self.bytesMax + issuerPath.utf8.count else { return nil }
    let text = String(decoding: (path.lowerBound..<path.upperBound).map { bytes[$0] }, as: UTF8.self)
    if let path = OAuthPath(rawValue: text) {
      self = path
    } else if let document = Self.documents.first(where: { text == $0.rawValue + issuerPath }) {
      self = document
    } else {
      return nil
    }
  }

  /// Whether a path is worth comparing: it starts with `/o` or `/.`.
  @inline(__always)
  static func mayBe(_ bytes: Span<UInt8>, _ path: Range<Int>) -> Bool {
    guard path.count >= 12 else { return false }
    let first = bytes[path.lowerBound + 1]
    return first == UInt8(ascii: "o") || first == UInt8(ascii: ".")
  }

  private static let documents = [serverMetadata, resourceMetadata]
  private static let bytesMax = 40

  /// Whether it takes a form by POST; the others are read.
  var takesForm: Bool {
    switch self {
    case .token, .revoke: true
    case .authorize, .serverMetadata, .resourceMetadata: false
    }
  }
}
