import TestSupport
import Testing

/// A request without a valid token is rejected by the rules and does not reach Core (RFC 6750, RFC 9110 §11).
@Suite struct BearerProbes {
  private static let token = TestPolicyFolder.token
  private static let none = #"Bearer realm="blnk""#
  private static let invalidRequest = #"Bearer realm="blnk", error="invalid_request""#
  private static let invalidToken = #"Bearer realm="blnk", error="invalid_token""#

  struct Case: Sendable, CustomTestStringConvertible {
    let fields: [String]
    let status: Int
    let challenge: String?
    var testDescription: String { "\(fields)" }

    init(_ fields: [String], _ status: Int, _ challenge: String?) {
      self.fields = fields
      self.status = status
      self.challenge = challenge
    }
  }

  static let refused: [Case] = [
    Case([], 401, none), Case(["X-Authorization: Bearer \(token)"], 401, none),
    Case(["Proxy-Authorization: Bearer \(token)"], 401, none), Case(["Cookie: access_token=\(token)"], 401, none),
    Case(["Authorization: Basic YTpi"], 401, none), Case(["Authorization: Digest username=\"a\""], 401, none),
    Case(["Authorization: Foo bar"], 401, none), Case(["Authorization: Bearer\(token)"], 401, none),
    Case(["Authorization: "], 400, invalidRequest), Case(["Authorization: Bearer"], 400, invalidRequest),
    Case(["Authorization: Bearer "], 400, invalidRequest),
    Case(["Authorization: Bearer\t\(token)"], 400, invalidRequest),
    Case(["Authorization: Bearer:\(token)"], 400, invalidRequest),
    Case(["Authorization: Bearer \(token) x"], 400, invalidRequest),
    Case(["Authorization: Bearer \(token), Bearer \(token)"], 400, invalidRequest),
    Case(["Authorization: Bearer \"\(token)\""], 400, invalidRequest),
    Case(["Authorization: Bearer token=\(token)"], 400, invalidRequest),
    Case(["Authorization: Bearer %62\(token.dropFirst())"], 400, invalidRequest),
    Case(["Authorization: Bearer *"], 400, invalidRequest), Case(["Authorization: Bearer []"], 400, invalidRequest),
    Case(["Authorization: Bearer ${jndi:ldap://x}"], 400, invalidRequest),
    Case(["Authorization: Bearer ' OR '1'='1"], 400, invalidRequest),
    Case(["Authorization: Bearer \(token)", "Authorization: Bearer \(token)"], 400, invalidRequest),
    Case(["Authorization: Bearer nope", "Authorization: Bearer \(token)"], 400, invalidRequest),
    Case(["Authorization: Bearer \(token)", "Authorization: Bearer nope"], 400, invalidRequest),
    Case(["Authorization: Basic YTpi", "Authorization: Bearer \(token)"], 400, invalidRequest),
    Case(["Authorization: Bearer nope"], 401, invalidToken),
    Case(["Authorization: Bearer \(token)A"], 401, invalidToken),
    Case(["Authorization: Bearer \(token)="], 401, invalidToken),
    Case(["Authorization: Bearer \(token.dropLast())"], 401, invalidToken),
    Case(["Authorization: Bearer \(token.uppercased())"], 401, invalidToken),
    Case(["Authorization: Bearer null"], 401, invalidToken),
    Case(["Authorization: Bearer ../../etc/passwd"], 401, invalidToken),
    Case(["Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0."], 401, invalidToken),
    Case(["Authorization: Bearer \(String(repeating: "A", count: 8_000))"], 401, invalidToken),
    Case(["Authorization: Bearer \(token)\u{0}"], 400, nil), Case(["Authorization: Bearer\r\n \(token)"], 400, nil),
    Case(["Authorization: Bearer \(String(repeating: "A", count: 60_000))"], 431, nil),
  ]

  @Test(arguments: refused)
  func `rejects a request without a valid token`(probe: Case) throws {
    let stage = try Stage.shared.get()
    let tag = stage.newTag()
    let answer = try #require(try stage.gateway.ask("GET", Stage.target(tag), fields: probe.fields, token: nil))
    #expect(answer.status == probe.status && answer["WWW-Authenticate"] == probe.challenge)
    #expect(!answer.bodyText.contains(Self.token))
    #expect(stage.requests(tag) == 0)
  }

  @Test(arguments: ["bearer ", "BEARER ", "BeArEr ", "Bearer  ", "\t Bearer "])
  func `accepts the scheme in any case (RFC 9110 §11.1)`(scheme: String) throws {
    let stage = try Stage.shared.get()
    let answer = try stage.gateway.ask(
      "GET", Stage.target(stage.newTag()), fields: ["AUTHORIZATION: \(scheme)\(Self.token) \t"], token: nil)
    #expect(answer?.status == 200)
  }

  @Test(arguments: [
    "/proxy/../proxy/balances", "//proxy/balances", "/proxy//balances", "/proxy/balances/", "/PROXY/balances",
    "/proxy/%62alances", "/proxy%2fbalances", "/proxy/balances%00", "/proxy/balances;x=y",
    "/proxy/balances/../../admin",
    "/proxy/balances/..%2f..%2fadmin", "/proxy/balances/.%2e/x", "/proxy/balances\\..\\x",
  ])
  func `no path is served without a token, and no such path is a route`(path: String) throws {
    let stage = try Stage.shared.get()
    let tag = stage.newTag()
    let target = "\(path)?probe=\(tag)&instance_id=one"
    #expect(try stage.gateway.ask("GET", target, token: nil)?.status == 401)
    let status = try stage.gateway.ask("GET", target)?.status
    #expect(status == 400 || status == 404)
    #expect(stage.requests(tag) == 0)
  }

  @Test(arguments: [
    ("POST", [], 403), ("POST", ["X-HTTP-Method-Override: GET", "X-Method-Override: GET"], 403), ("PUT", [], 405),
    ("PATCH", [], 405), ("DELETE", [], 405), ("OPTIONS", [], 405), ("get", [], 405), ("post", [], 405),
  ])
  func `a read token allows reads only (RFC 6750 §3.1)`(method: String, fields: [String], status: Int) throws {
    let stage = try Stage.shared.get()
    let tag = stage.newTag()
    let answer = try stage.gateway.ask(
      method, Stage.target(tag), fields: fields, body: "{}", token: TestPolicyFolder.readToken)
    #expect(answer?.status == status && stage.requests(tag) == 0)
    guard status == 403 else { return }
    #expect(
      answer?["WWW-Authenticate"] == #"Bearer realm="blnk", error="insufficient_scope", scope="proxy:write""#)
  }

  @Test func `a token in the query or in a form is ignored (RFC 6750 §2.2, RFC 9700 §4.3.2)`() throws {
    let stage = try Stage.shared.get()
    let tag = stage.newTag()
    let target = Stage.target(tag) + "&access_token=\(Self.token)"
    #expect(try stage.gateway.ask("GET", target, token: nil)?["WWW-Authenticate"] == Self.none)
    #expect(try stage.gateway.ask("GET", target)?["WWW-Authenticate"] == Self.invalidRequest)
    let form = ["Content-Type: application/x-www-form-urlencoded"]
    let answer = try stage.gateway.ask(
      "POST", Stage.target(tag), fields: form, body: "access_token=\(Self.token)", token: nil)
    #expect(answer?.status == 401 && stage.requests(tag) == 0)
  }
}
