package import Digests

/// The URL that an app opens to ask for an authorization code (RFC 6749 §4.1.1, RFC 7636 §4.3).
package struct AuthorizationRequest: Sendable {
  package let client: String
  package let redirectURI: String
  package let scope: ScopeText?
  package let state: String?
  /// nil: the app does not use PKCE.
  package let challenge: Digest?
  /// Scheme, host and port of the URL, in lower case; empty: it has none.
  package let origin: String

  /// - Parameter url: with a query; see `origin` for what comes before it.
  package init(url: String) throws(OAuthError) {
    let bytes = url.utf8
    guard let question = bytes.firstIndex(of: UInt8(ascii: "?")) else {
      throw OAuthError(.invalidRequest, "The URL has no query.")
    }
    let query = Array(bytes[bytes.index(after: question)...].prefix { $0 != UInt8(ascii: "#") })
    guard query.count <= FormBody.bytesMax else { throw OAuthError(.invalidRequest, "The URL is too long.") }
    let form: FormBody
    do throws(FormFault) {
      form = try FormBody(query.span)
    } catch {
      throw OAuthError(error)
    }
    guard form["response_type"] == "code" else {
      throw OAuthError(.invalidRequest, "response_type must be code.")
    }
    guard let client = form["client_id"] else { throw OAuthError(.invalidRequest, "client_id is missing.") }
    guard let redirectURI = form["redirect_uri"] else {
      throw OAuthError(.invalidRequest, "redirect_uri is missing.")
    }
    // Strings are equal if Unicode holds them to be: U+212A is a K. Of ASCII texts, only the same ones are equal.
    guard redirectURI.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
      throw OAuthError(.invalidRequest, "redirect_uri must be a URI, in ASCII without spaces (RFC 3986).")
    }
    if let text = form["scope"] {
      guard let scope = ScopeText(text) else { throw OAuthError(.invalidScope, "scope is malformed.") }
      self.scope = scope
    } else {
      scope = nil
    }
    self.client = client
    self.redirectURI = redirectURI
    origin = Self.origin(of: url)
    state = form["state"]
    challenge = try Self.challenge(form)
  }

  /// Scheme, host and port of a URL, in lower case and without the default port of https; empty: it has none.
  package static func origin(of url: String) -> String {
    let end = url.firstIndex { ["/", "?", "#", "\\", ":"].contains($0) }
    guard let colon = end, url[colon...].hasPrefix("://") else { return "" }
    let authority = url[colon...].dropFirst(3).prefix { !["/", "?", "#", "\\"].contains($0) }
    let origin = "\(url[..<colon])://\(authority)".lowercased()
    return origin.hasPrefix("https://") && origin.hasSuffix(":443") ? String(origin.dropLast(4)) : origin
  }

  /// RFC 7636 §4.3: without a method the challenge is "plain", which shows the verifier to everyone who sees the URL.
  private static func challenge(_ form: FormBody) throws(OAuthError) -> Digest? {
    guard let text = form["code_challenge"] else {
      guard form["code_challenge_method"] == nil else {
        throw OAuthError(.invalidRequest, "code_challenge_method has no code_challenge.")
      }
      return nil
    }
    guard form["code_challenge_method"] == "S256" else {
      throw OAuthError(.invalidRequest, "code_challenge_method must be S256.")
    }
    let characters = Array(text.utf8)
    var bytes = InlineArray<32, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    guard Base64URL.byteCount(characters.count) == 32, Base64URL.decode(characters.span, into: &span) else {
      throw OAuthError(.invalidRequest, "code_challenge must be a SHA-256 in base64url without padding.")
    }
    return Digest(bytes.span)
  }

  /// Where the app gets its code (RFC 6749 §4.1.2), with the issuer (RFC 9207).
  package func callback(code: String, issuer: String) -> String {
    var parameters = [("code", code)]
    if let state { parameters.append(("state", state)) }
    parameters.append(("iss", issuer))
    let query = parameters.map { "\($0)=\(formEncoded($1))" }.joined(separator: "&")
    return redirectURI + (redirectURI.contains("?") ? "&" : "?") + query
  }
}

extension OAuthError {
  package init(_ fault: FormFault) {
    switch fault {
    case .malformed: self.init(.invalidRequest, "The parameters are not form-encoded UTF-8.")
    case .repeated: self.init(.invalidRequest, "A parameter is given more than once.")
    case .tooManyParameters: self.init(.invalidRequest, "There are more than \(FormBody.parametersMax) parameters.")
    }
  }
}

/// Encodes everything but unreserved characters.
private func formEncoded(_ text: String) -> String {
  var encoded: [UInt8] = []
  let digits = Array("0123456789ABCDEF".utf8)
  for byte in text.utf8 {
    if isUnreserved(byte) {
      encoded.append(byte)
    } else {
      encoded += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }
  }
  return String(decoding: encoded, as: UTF8.self)
}
