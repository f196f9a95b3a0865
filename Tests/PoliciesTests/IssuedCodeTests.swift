import OAuth
import Testing

@testable import Policies

/// Codes that an operator issues for an app.
@Suite struct IssuedCodeTests {
  private static let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
  private static let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
  private static let callback = "https://app.example/cb?a=1"

  /// The client `acme` has a redirect URI.
  private static func policy(_ more: String = "", change: (inout OAuthFolder) -> Void = { _ in }) throws -> Policy {
    var folder = OAuthFolder()
    let oauth = OAuthFolder.oauth("acme secret").dropLast() + #", "redirect_uris": ["\#(callback)"]}"#
    folder.clients["acme"] =
      #""scopes": ["proxy:read", "proxy:write"], "instances": ["inst_a"], "oauth": \#(oauth)\#(more)"#
    change(&folder)
    return try folder.policy()
  }

  private static func request(
    at start: String = "https://gateway.example/oauth/authorize", client: String = "acme",
    redirectURI: String = callback, more: String = ""
  ) throws -> AuthorizationRequest {
    let encoded = redirectURI.utf8.map { byte in
      Array("?=&".utf8).contains(byte) ? "%\(String(byte, radix: 16))" : String(UnicodeScalar(byte))
    }
    return try AuthorizationRequest(
      url: "\(start)?response_type=code&client_id=\(client)&redirect_uri="
        + encoded.joined() + more)
  }

  private static func issue(
    _ request: AuthorizationRequest, client: String = "acme", by policy: Policy
  ) throws(CodeRefusal) -> IssuedCode {
    try policy.issueCode(for: request, client: client, at: admissionTime)
  }

  private static func redeem(
    _ code: IssuedCode, redirectURI: String = callback, verifier: String? = verifier, after seconds: Int64 = 0,
    by policy: Policy
  ) throws -> OAuthError.Code? {
    let request = TokenRequest.authorizationCode(
      code: code.code, redirectURI: redirectURI, verifier: verifier.flatMap { CodeVerifier($0) })
    let client = try #require(policy.oauthClientIndex("acme"))
    do throws(OAuthError) {
      let grant = try policy.grant(
        request, to: client, at: UnixSeconds(grantTime + seconds), memory: SampleMemory())
      #expect(grant.scope == code.scope && grant.client == "acme")
      return nil
    } catch {
      return error.code
    }
  }

  @Test(arguments: [
    "https://evil.example/oauth/authorize", "http://gateway.example/oauth/authorize",
    "https://gateway.example.evil.example/oauth/authorize", "https://gateway.example@evil.example/",
    "https://gateway.example:8443/oauth/authorize", "", "gateway.example/oauth/authorize",
    "https://evil.example\\@gateway.example/", "https://evil.example/https://gateway.example/", "\u{202e}https://x",
  ])
  func `refuses the URL of another server, in printable ASCII and with the remedy`(start: String) throws {
    let policy = try Self.policy()
    let request = try Self.request(at: start)
    let refusal = #expect(throws: CodeRefusal.self) { try Self.issue(request, by: policy) }
    let message = try #require(refusal?.message)
    #expect(message.contains("not with https://gateway.example, the origin of oauth.issuer"), "\(message)")
    #expect(message.contains("set https://gateway.example/oauth/authorize as the app's authorization endpoint"))
    #expect(message.utf8.allSatisfy { (0x20...0x7e).contains($0) })
  }

  @Test(arguments: [
    "https://GATEWAY.example", "HTTPS://gateway.example:443/oauth/authorize", "https://gateway.example/x",
  ])
  func `the origin may be written in another way, and the path is that of any front`(start: String) throws {
    let policy = try Self.policy()
    #expect(try Self.issue(try Self.request(at: start), by: policy).scope == "proxy:read proxy:write")
  }

  @Test(arguments: ["%C2%9B31mX", "%E2%80%AEacme", "%E2%84%AA", "a%22b"])
  func `shows an unknown client id in printable ASCII`(client: String) throws {
    let policy = try Self.policy()
    let request = try Self.request(client: client)
    let refusal = #expect(throws: CodeRefusal.self) { try Self.issue(request, by: policy) }
    let message = try #require(refusal?.message)
    #expect(message.hasPrefix("the URL is from \"") && message.utf8.allSatisfy { (0x20...0x7e).contains($0) })
  }

  @Test func `a code is for its client, redirect URI and challenge, and valid for a minute`() throws {
    let policy = try Self.policy()
    let more = "&code_challenge=\(Self.challenge)&code_challenge_method=S256&state=x%26y&scope=proxy:read"
    let code = try Self.issue(try Self.request(more: more), by: policy)
    #expect(code.scope == "proxy:read" && code.expiresAt == UnixSeconds(grantTime + 60))
    #expect(code.callback == "\(Self.callback)&code=\(code.code)&state=x%26y&iss=https%3A%2F%2Fgateway.example")
    #expect(try Self.redeem(code, by: policy) == nil)
    #expect(try Self.redeem(code, after: 59, by: policy) == nil)
    #expect(try Self.redeem(code, after: 60, by: policy) == .invalidGrant)
    #expect(try Self.redeem(code, redirectURI: "https://app.example/cb", by: policy) == .invalidGrant)
    #expect(try Self.redeem(code, verifier: nil, by: policy) == .invalidGrant)
    #expect(try Self.redeem(code, verifier: Self.verifier + "x", by: policy) == .invalidGrant)
    // Without a challenge, and with all that the client has.
    let bare = try Self.issue(try Self.request(), by: policy)
    #expect(bare.scope == "proxy:read proxy:write")
    #expect(try Self.redeem(bare, verifier: nil, by: policy) == nil)
    #expect(try Self.redeem(bare, by: policy) == .invalidGrant)
  }

  private static func refusal(
    _ request: AuthorizationRequest, client: String = "acme", by policy: Policy
  ) -> String? {
    do throws(CodeRefusal) {
      _ = try issue(request, client: client, by: policy)
      return nil
    } catch {
      return error.message
    }
  }

  @Test func `says why a client gets no code`() throws {
    let policy = try Self.policy()
    let cases: [(AuthorizationRequest, String, Policy, String)] = [
      (try Self.request(client: "acme2"), "acme", policy, #"the URL is from "acme2" (client_id), not from "acme""#),
      (try Self.request(client: "acm"), "acm", policy, #"unknown client "acm" (did you mean "acme"?)"#),
      (try Self.request(client: "plain"), "plain", policy, #"clients.plain has no "oauth""#),
      (try Self.request(), "acme", try Self.policy(#", "revoked": true"#), "the client acme is revoked"),
      (
        try Self.request(), "acme", try Self.policy { $0.revoked = #""clients": ["acme"]"# },
        "the client acme is revoked"
      ),
      (try Self.request(client: "acme2"), "acme2", policy, "registered: none;"),
    ]
    for (request, client, policy, message) in cases {
      #expect(Self.refusal(request, client: client, by: policy)?.contains(message) == true, "\(message)")
    }
    var off = policy
    off.settings.oauth = nil
    #expect(Self.refusal(try Self.request(), by: off)?.contains(#"gateway.json has no "oauth""#) == true)
    for uri in [Self.callback + "/", Self.callback + "&b=2", "https://app.example/cb", "https://app.example/CB?a=1"] {
      let message = Self.refusal(try Self.request(redirectURI: uri), by: policy)
      #expect(message?.contains(#"redirect_uris does not contain "\#(uri)" exactly"#) == true, "\(uri)")
    }
    for scope in ["admin", "proxy:read%20admin"] {
      let message = Self.refusal(try Self.request(more: "&scope=\(scope)"), by: policy)
      #expect(message?.contains(#"the URL asks for the scope "admin", which clients.acme.scopes"#) == true)
    }
  }
}
