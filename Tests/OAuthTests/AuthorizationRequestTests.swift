import Testing

@testable import OAuth

@Suite struct AuthorizationRequestTests {
  static let start = "https://gate.example/authorize?response_type=code&client_id=s6BhdRkqt3"
  static let uri = "&redirect_uri=https%3A%2F%2Fclient%2Eexample%2Ecom%2Fcb"
  static let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

  // RFC 6749 §4.1.1, RFC 7636 §4.3.
  @Test func `reads the request of RFC 6749`() throws {
    let request = try AuthorizationRequest(url: Self.start + "&state=xyz" + Self.uri)
    #expect(request.client == "s6BhdRkqt3" && request.redirectURI == "https://client.example.com/cb")
    #expect(request.state == "xyz" && request.scope == nil && request.challenge == nil)
    let pkce = "&code_challenge=\(Self.challenge)&code_challenge_method=S256&scope=a+b"
    let second = try AuthorizationRequest(url: Self.start + Self.uri + pkce + "#fragment&state=1")
    #expect(second.scope?.scopes == ["a", "b"] && second.state == nil)
    #expect(second.challenge == CodeVerifier(TokenRequestTests.verifier)?.challenge)
    #expect(try AuthorizationRequest(url: "?" + Self.start.split(separator: "?")[1] + Self.uri).client == "s6BhdRkqt3")
  }

  @Test(arguments: [
    "", "https://gate.example/authorize", "https://gate.example/authorize?",
    "https://gate.example/authorize#?response_type=code", "?client_id=a&redirect_uri=u",
    "?response_type=token&client_id=a&redirect_uri=u", "?response_type=code+token&client_id=a&redirect_uri=u",
    "?response_type=code&redirect_uri=u", "?response_type=code&client_id=&redirect_uri=u",
    "?response_type=code&client_id=a", "?response_type=code&client_id=a&redirect_uri=u&redirect_uri=u",
    "?response_type=code&client_id=a&redirect_uri=%ff", "?response_type=code&client_id=a&client_id=b&redirect_uri=u",
    "?response_type=code&client_id=a&redirect_uri=u&code_challenge=\(challenge)",
    "?response_type=code&client_id=a&redirect_uri=u&code_challenge=\(challenge)&code_challenge_method=plain",
    "?response_type=code&client_id=a&redirect_uri=u&code_challenge=\(challenge)&code_challenge_method=s256",
    "?response_type=code&client_id=a&redirect_uri=u&code_challenge_method=S256",
    "?response_type=code&client_id=a&redirect_uri=u&code_challenge_method=plain",
    "?response_type=code&client_id=a&redirect_uri=u&code_challenge=&code_challenge_method=S256",
    "?response_type=code&client_id=a&redirect_uri=u&code_challenge=\(challenge)A&code_challenge_method=S256",
    "?response_type=code&client_id=a&redirect_uri=u&code_challenge=\(challenge)=&code_challenge_method=S256",
    "?response_type=code&client_id=a&redirect_uri=u&code_challenge=short&code_challenge_method=S256",
    // In base64url, too, but of fewer bytes.
    "?response_type=code&client_id=a&redirect_uri=u&code_challenge=E9Melhoa2OwvFrEMTJguCA&code_challenge_method=S256",
    "?response_type=code&client_id=a&redirect_uri=u&code_challenge=\(challenge.dropLast())N&code_challenge_method=S256",
    "?response_type=code&client_id=a&redirect_uri=u&code_challenge=\(challenge.dropLast())+&code_challenge_method=S256",
    "?response_type=code&client_id=a&redirect_uri=u&x=" + String(repeating: "x", count: 8_192),
    // Text that Unicode holds equal to ASCII text is not the same URI.
    "?response_type=code&client_id=a&redirect_uri=https%3A%2F%2Fapp.example%2FO%E2%84%AA",
    "?response_type=code&client_id=a&redirect_uri=https%3A%2F%2Fapp.example%2F%C3%A9",
    "?response_type=code&client_id=a&redirect_uri=https%3A%2F%2Fapp.example%2Fa+b",
  ])
  func `refuses other URLs as invalid requests`(url: String) {
    #expect(code(url) == .invalidRequest)
  }

  @Test func `refuses a malformed scope`() {
    #expect(code("?response_type=code&client_id=a&redirect_uri=u&scope=a++b") == .invalidScope)
  }

  private func code(_ url: String) -> OAuthError.Code? {
    do throws(OAuthError) {
      _ = try AuthorizationRequest(url: url)
      return nil
    } catch {
      return error.code
    }
  }

  @Test func `the callback has code, state and issuer`() throws {
    let base = "?response_type=code&client_id=a&redirect_uri="
    let plain = try AuthorizationRequest(url: base + "https%3A%2F%2Fapp.example%2Fcb&state=a%26b%3D1+%C3%A9")
    #expect(
      plain.callback(code: "blnk_ac_A-_", issuer: "https://gate.example")
        == "https://app.example/cb?code=blnk_ac_A-_&state=a%26b%3D1%20%C3%A9&iss=https%3A%2F%2Fgate.example")
    let withQuery = try AuthorizationRequest(url: base + "https%3A%2F%2Fapp.example%2Fcb%3Fx%3D1")
    #expect(
      withQuery.callback(code: "c", issuer: "https://g") == "https://app.example/cb?x=1&code=c&iss=https%3A%2F%2Fg")
  }
}
