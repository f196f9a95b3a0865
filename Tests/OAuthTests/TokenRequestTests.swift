import Digests
import Testing

@testable import OAuth

@Suite struct TokenRequestTests {
  static let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

  @Test func `reads the requests of RFC 6749`() throws {
    #expect(try request("grant_type=client_credentials") == .clientCredentials(scope: nil))
    #expect(try request("grant_type=client_credentials&scope=a+b") == .clientCredentials(scope: ScopeText("a b")))
    #expect(
      try request("grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA")
        == .refreshToken(token: "tGzv3JOkF0XG5Qx2TlKWIA", scope: nil))
    #expect(
      try request("grant_type=refresh_token&refresh_token=t&scope=a")
        == .refreshToken(token: "t", scope: ScopeText("a")))
    #expect(
      try request(
        "grant_type=authorization_code&code=c&redirect_uri=https%3A%2F%2Fa%2Fcb&code_verifier=\(Self.verifier)")
        == .authorizationCode(code: "c", redirectURI: "https://a/cb", verifier: CodeVerifier(Self.verifier)))
    // Unknown parameters are ignored, empty ones are absent (§3.2).
    #expect(
      try request("grant_type=authorization_code&code=c&redirect_uri=u&code_verifier=&state=x&client_secret=s")
        == .authorizationCode(code: "c", redirectURI: "u", verifier: nil))
    #expect(try request("grant_type=client_credentials&scope=&x=1") == .clientCredentials(scope: nil))
  }

  @Test(arguments: [
    ("", OAuthError.Code.invalidRequest), ("grant_type=", .invalidRequest),
    ("grant_type=password", .unsupportedGrantType),
    ("grant_type=Client_Credentials", .unsupportedGrantType), ("grant_type=client_credentials+", .unsupportedGrantType),
    ("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer", .unsupportedGrantType),
    ("grant_type=authorization_code", .invalidRequest), ("grant_type=authorization_code&code=c", .invalidRequest),
    ("grant_type=authorization_code&redirect_uri=u", .invalidRequest),
    ("grant_type=authorization_code&code=&redirect_uri=u", .invalidRequest),
    ("grant_type=authorization_code&code=c&redirect_uri=u&code_verifier=short", .invalidRequest),
    ("grant_type=refresh_token", .invalidRequest), ("grant_type=refresh_token&refresh_token=", .invalidRequest),
    ("grant_type=client_credentials&scope=+", .invalidScope),
    ("grant_type=client_credentials&scope=a++b", .invalidScope),
    ("grant_type=client_credentials&scope=a+", .invalidScope),
    ("grant_type=client_credentials&scope=%22", .invalidScope),
    ("grant_type=client_credentials&scope=a%5Cb", .invalidScope),
    ("grant_type=client_credentials&scope=%C3%A9", .invalidScope),
    ("grant_type=refresh_token&refresh_token=t&scope=a++b", .invalidScope),
  ])
  func `refuses other requests with the code of RFC 6749 §5_2`(body: String, expected: OAuthError.Code) {
    #expect(throws: OAuthError.self) { try request(body) }
    do { _ = try request(body) } catch { #expect((error as? OAuthError)?.code == expected) }
  }

  private func request(_ body: String) throws -> TokenRequest { try TokenRequest(try form(body)) }

  @Test func `a list of scopes has each one once, and at most 512 bytes`() {
    #expect(ScopeText("a b a b")?.scopes == ["a", "b"])
    #expect(ScopeText("*")?.scopes == ["*"])
    #expect(ScopeText("!#[]~")?.scopes == ["!#[]~"])
    #expect(ScopeText(String(repeating: "a", count: 512)) != nil)
    let refused = ["", " ", " a", "a ", "a  b", "a\tb", "a\u{7f}", "a\u{a0}b", "a \u{301}b", "\"", "\\", "\u{212a}"]
    for text in refused + [String(repeating: "a", count: 513)] { #expect(ScopeText(text) == nil) }
    for byte in UInt8(0)...127 {
      let isScope = byte == 0x21 || (0x23...0x5b).contains(byte) || (0x5d...0x7e).contains(byte)
      #expect((ScopeText("a\(Unicode.Scalar(byte))b")?.scopes.count == 1) == isScope, "\(byte)")
    }
  }

  // RFC 7636 appendix B.
  @Test func `computes the challenge of RFC 7636`() throws {
    let bytes: [UInt8] = [
      116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212, 37, 77, 105, 214, 191, 240,
      91, 88, 5, 88, 83, 132, 141, 121,
    ]
    #expect(String(decoding: Base64URL.encode(bytes.span), as: UTF8.self) == Self.verifier)
    let challenge = try #require(CodeVerifier(Self.verifier)).challenge
    let text = Base64URL.encode(challenge.bytes.span)
    #expect(String(decoding: text, as: UTF8.self) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
  }

  @Test func `a verifier has 43 to 128 unreserved characters`() {
    for count in [0, 1, 42, 129, 8_000] { #expect(CodeVerifier(String(repeating: "a", count: count)) == nil) }
    for count in [43, 64, 128] { #expect(CodeVerifier(String(repeating: "a", count: count)) != nil) }
    let allowed = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8)
    for byte in UInt8(0)...127 {
      let text = String(repeating: "a", count: 42) + String(Unicode.Scalar(byte))
      #expect((CodeVerifier(text) != nil) == allowed.contains(byte), "\(byte)")
    }
    #expect(CodeVerifier(String(repeating: "é", count: 43)) == nil)
  }

  @Test func `a code is bound to redirect URI and challenge, in both directions`() throws {
    let uri = "https://app.example/cb"
    let digest = SHA256.digest(of: Array(uri.utf8).span)
    let (right, wrong) = (try #require(CodeVerifier(Self.verifier)), CodeVerifier(String(repeating: "a", count: 43)))
    let (with, without) = (
      CodeBinding(redirectURI: digest, challenge: right.challenge), CodeBinding(redirectURI: digest, challenge: nil)
    )
    #expect(with.accepts(redirectURI: uri, verifier: right))
    #expect(!with.accepts(redirectURI: uri, verifier: wrong))
    #expect(!with.accepts(redirectURI: uri, verifier: nil))
    #expect(without.accepts(redirectURI: uri, verifier: nil))
    #expect(!without.accepts(redirectURI: uri, verifier: right))
    // The text of the challenge is not a verifier for it (the method "plain").
    let plain = CodeVerifier("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
    #expect(!with.accepts(redirectURI: uri, verifier: plain))
    for other in ["", uri + "/", "HTTPS://app.example/cb", uri + "?", "https://app.example/c", uri + "\u{0}"] {
      #expect(!with.accepts(redirectURI: other, verifier: right) && !without.accepts(redirectURI: other, verifier: nil))
    }
  }
}
