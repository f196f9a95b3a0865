/// The name and secret that a client presents to the token endpoint.
package struct ClientCredentials: Equatable, Sendable {
  package let client: String
  package let secret: String

  /// Reads them from the Authorization field or from the form, never from both (RFC 6749 §2.3).
  ///
  /// - Parameter authorization: the field's value; nil: no such field.
  package init(authorization: Span<UInt8>?, form: borrowing FormBody) throws(OAuthError) {
    guard let authorization else {
      guard let client = form["client_id"] else {
        throw OAuthError(.invalidClient, "Authenticate with HTTP Basic, or with client_id and client_secret.")
      }
      guard let secret = form["client_secret"] else {
        throw OAuthError(.invalidClient, "client_secret is missing.")
      }
      self.client = client
      self.secret = secret
      return
    }
    guard form["client_secret"] == nil else {
      throw OAuthError(.invalidRequest, "Authenticate with HTTP Basic or in the body, not both.")
    }
    guard let basic = Self.basic(authorization) else {
      throw OAuthError(.invalidClient, "The Authorization field is not HTTP Basic with a client id and a secret.")
    }
    // RFC 6749 §4.1.3: client_id may be there besides, and must then name the same client.
    if let named = form["client_id"], named != basic.client {
      throw OAuthError(.invalidRequest, "client_id differs from the client in the Authorization field.")
    }
    (client, secret) = basic
  }

  /// RFC 7617 §2, with id and secret form-encoded before they are joined (RFC 6749 §2.3.1).
  private static func basic(_ field: Span<UInt8>) -> (client: String, secret: String)? {
    guard let (pair, colon) = basicCredentials(field), let client = formDecoded(pair.span.extracting(first: colon)),
      !client.isEmpty,
      let secret = formDecoded(pair.span.extracting(droppingFirst: colon + 1)), !secret.isEmpty
    else { return nil }
    return (client, secret)
  }
}

/// The user name and password of HTTP Basic (RFC 7617 §2), and the index of the colon between them.
///
/// - Parameter field: the value of the Authorization field.
package func basicCredentials(_ field: Span<UInt8>) -> (pair: [UInt8], colon: Int)? {
  let scheme = Array("basic ".utf8)
  guard field.count > scheme.count, field.count <= basicFieldBytesMax else { return nil }
  for index in scheme.indices where field[index] | 0x20 != scheme[index] { return nil }
  var start = scheme.count
  while start < field.count, field[start] == UInt8(ascii: " ") { start += 1 }
  guard let pair = standardBase64(field.extracting(droppingFirst: start)),
    let colon = pair.firstIndex(of: UInt8(ascii: ":"))
  else { return nil }
  return (pair, colon)
}

private let basicFieldBytesMax = 1024

/// Decodes base64 with the standard alphabet; padding may be missing.
private func standardBase64(_ text: Span<UInt8>) -> [UInt8]? {
  var count = text.count
  while count > 0, text.count - count < 2, text[count - 1] == UInt8(ascii: "=") { count -= 1 }
  guard count == text.count || text.count & 3 == 0 else { return nil }
  var urlSafe: [UInt8] = []
  for index in 0..<count {
    switch text[index] {
    case UInt8(ascii: "+"): urlSafe.append(UInt8(ascii: "-"))
    case UInt8(ascii: "/"): urlSafe.append(UInt8(ascii: "_"))
    case UInt8(ascii: "-"), UInt8(ascii: "_"): return nil
    default: urlSafe.append(text[index])
    }
  }
  guard let byteCount = Base64URL.byteCount(urlSafe.count) else { return nil }
  var bytes = [UInt8](repeating: 0, count: byteCount)
  var span = bytes.mutableSpan
  return Base64URL.decode(urlSafe.span, into: &span) ? bytes : nil
}
