import Digests
import Foundation

@testable import OAuth

/// Properties that hold for any bytes: the tests check them on the corpora, the fuzzers on mutations of these.
enum OAuthProperties {
  struct Broken: Error {
    let what: String
  }

  /// A form is read as by the reference. Whatever it holds, a request to the token endpoint is taken or refused.
  static func formBody(_ bytes: [UInt8]) throws {
    guard bytes.count <= FormBody.bytesMax else { return }
    let expected = ReferenceForm.read(bytes)
    guard let form = try? FormBody(bytes.span) else {
      if expected != nil { throw Broken(what: "refused, but the reference has \(expected ?? [:])") }
      return
    }
    guard let expected else { throw Broken(what: "taken, but the reference refuses it") }
    for (name, value) in expected where form[name] != (value.isEmpty ? nil : value) {
      throw Broken(what: "\(name) is \(form[name] ?? "nil"), not \(value)")
    }
    do throws(OAuthError) {
      let request = try TokenRequest(form)
      guard isRight(request, expected) else { throw OAuthError(.slowDown, "") }
    } catch {
      if error.code == .slowDown { throw Broken(what: "read otherwise than the reference does") }
      try checkJSON(error)
    }
  }

  private static func isRight(_ request: TokenRequest, _ values: [String: String]) -> Bool {
    func scope(_ scope: ScopeText?) -> Bool {
      let text = values["scope"] ?? ""
      return Set(scope?.scopes ?? []) == Set(text.split(separator: " ").map(String.init))
    }
    return switch request {
    case .clientCredentials(let list): values["grant_type"] == "client_credentials" && scope(list)
    case .refreshToken(let token, let list):
      values["grant_type"] == "refresh_token" && values["refresh_token"] == token && scope(list)
    case .authorizationCode(let code, let uri, let verifier):
      values["grant_type"] == "authorization_code" && values["code"] == code && values["redirect_uri"] == uri
        && verifier == values["code_verifier"].flatMap(CodeVerifier.init)
    }
  }

  /// A text is refused, or is as the reference signs it; and claims made from it come back as they were signed.
  static func signedToken(_ bytes: [UInt8]) throws {
    let key = TokenKey(name: "k1", secret: Array("0123456789abcdef0123456789abcdef".utf8).span)
    let authority = TokenAuthority(issuer: "https://gateway.example", audience: "https://gateway.example", keys: [key])
    for kind in SignedTokenKind.allCases {
      if let token = try? authority.verify(bytes.span, as: kind, at: 1_800_000_000) { try check(token, kind, bytes) }
    }
    var generator = Bytes(bytes: bytes)
    let claims = randomClaims(using: &generator)
    let text = Array(authority.sign(claims).utf8)
    guard let token = try? authority.verify(text.span, as: claims.kind, at: claims.issuedAt) else {
      throw Broken(what: "its own token is refused")
    }
    try check(token, claims.kind, text)
    guard token.client == claims.client, token.scope == claims.scope, token.code == claims.code else {
      throw Broken(what: "other claims than were signed")
    }
    var changed = text
    changed[Int(truncatingIfNeeded: generator.next() >> 1) % text.count] ^= UInt8(1 << (generator.next() & 7))
    for kind in SignedTokenKind.allCases
    where (try? authority.verify(changed.span, as: kind, at: claims.issuedAt)) != nil {
      throw Broken(what: "a changed token is taken")
    }
  }

  private static func check(_ token: borrowing VerifiedToken, _ kind: SignedTokenKind, _ text: [UInt8]) throws {
    let claims = TokenClaims(
      kind: kind, id: token.id, grant: token.grant, client: token.client, scope: token.scope, issuedAt: token.issuedAt,
      lifetimeSeconds: Int(token.expiresAt - token.issuedAt), code: token.code)
    guard Array(reference(claims).text.utf8) == text else { throw Broken(what: "not as the reference signs it") }
  }

  /// The first line is an Authorization field and the rest a form: credentials are read as by the reference.
  static func basicField(_ bytes: [UInt8]) throws {
    let lines = bytes.split(separator: 0x0a, maxSplits: 1, omittingEmptySubsequences: false).map(Array.init)
    let (field, body) = (lines[0], lines.count > 1 ? lines[1] : [])
    // A field has no NUL.
    guard body.count <= FormBody.bytesMax, !field.contains(0), let form = try? FormBody(body.span) else { return }
    let expected = ReferenceForm.basic(field)
    let isFree = form["client_secret"] == nil && (form["client_id"] == nil || form["client_id"] == expected?.client)
    do throws(OAuthError) {
      let credentials = try ClientCredentials(authorization: field.span, form: form)
      guard isFree, credentials.client == expected?.client, credentials.secret == expected?.secret else {
        throw OAuthError(.slowDown, "")
      }
    } catch {
      if error.code == .slowDown { throw Broken(what: "taken, but the reference has other credentials") }
      if expected != nil, isFree { throw Broken(what: "refused, but the reference takes it") }
      try checkJSON(error)
    }
  }

  /// A URL is refused, or its query holds what is read from it; and an app finds code and state in the callback.
  static func authorizationURL(_ bytes: [UInt8]) throws {
    let url = String(decoding: bytes, as: UTF8.self)
    do throws(OAuthError) {
      let request = try AuthorizationRequest(url: url)
      guard isRight(request, url) else { throw OAuthError(.slowDown, "") }
    } catch {
      if error.code == .slowDown { throw Broken(what: "read otherwise than the reference does") }
      try checkJSON(error)
    }
  }

  private static func isRight(_ request: AuthorizationRequest, _ url: String) -> Bool {
    let query = Array(url.utf8).drop { $0 != UInt8(ascii: "?") }.dropFirst().prefix { $0 != UInt8(ascii: "#") }
    guard let values = ReferenceForm.read(Array(query)) else { return false }
    let (code, issuer) = ("blnk_ac_x", "https://gateway.example")
    let callback = request.callback(code: code, issuer: issuer)
    let added = callback.dropFirst(request.redirectURI.utf8.count + 1)
    guard callback.hasPrefix(request.redirectURI), let answer = ReferenceForm.read(Array(added.utf8)) else {
      return false
    }
    let state = values["state"].flatMap { $0.isEmpty ? nil : $0 }
    let challenge = request.challenge.map { digest in
      String(decoding: referenceBase64URL(digest.bytes.indices.map { digest.bytes[$0] }), as: UTF8.self)
    }
    let asked = values["code_challenge"].flatMap { $0.isEmpty ? nil : $0 }
    return values["response_type"] == "code" && values["client_id"] == request.client
      && values["redirect_uri"] == request.redirectURI && state == request.state && challenge == asked
      && (challenge == nil || values["code_challenge_method"] == "S256")
      && answer["code"] == code && answer["iss"] == issuer && answer["state"] == state
  }

  private static func checkJSON(_ error: OAuthError) throws {
    guard (try? JSONSerialization.jsonObject(with: Data(error.body.utf8))) != nil else {
      throw Broken(what: "the body of \(error) is not JSON")
    }
  }

  /// Random numbers from given bytes, then multiples of an odd number: with zeros, some ranges would never end.
  private struct Bytes: RandomNumberGenerator {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func next() -> UInt64 {
      position += 8
      var value = UInt64(position) &* 0x9e37_79b9_7f4a_7c15
      for index in position - 8..<position where index < bytes.count { value = value << 8 | UInt64(bytes[index]) }
      return value ^ UInt64(position) &* 0xbf58_476d_1ce4_e5b9
    }
  }
}
