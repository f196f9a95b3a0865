import Policies

/// A request that the gateway answers itself, and the reply that the demo expects.
struct ExpectedReply {
  let title: String
  let request: DemoRequest
  let status: Int
  /// Without `GATEWAY_`.
  let code: String
  var challenge: String?
  var allow: String?
  var outcome: String?
  /// Whether the connection must close, because it is unclear where the next request begins.
  var closes = false

  /// How a response differs.
  func mismatches(_ response: GatewayResponse) -> [String?] {
    let id = response.value(of: "X-Request-Id") ?? ""
    return [
      mismatch("status", response.status, expected: status),
      mismatch("code", response.text("code"), expected: "GATEWAY_\(code)"),
      mismatch("WWW-Authenticate", response.value(of: "WWW-Authenticate"), expected: challenge),
      mismatch("Allow", response.value(of: "Allow"), expected: allow),
      mismatch("outcome", response.text("outcome"), expected: outcome),
      mismatch("Content-Type", response.value(of: "Content-Type"), expected: "application/json"),
      mismatch("request_id", response.text("request_id"), expected: id),
      mismatch("error", response.text("error"), expected: response.text("message")),
      id.count == 32 ? nil : "X-Request-Id does not have 32 digits",
      mismatch("Connection", response.value(of: "Connection"), expected: closes ? "close" : nil),
    ]
  }
}

extension DemoRun {
  static let invalidToken = #"Bearer realm="blnk", error="invalid_token""# + resourceMetadata
  private static let invalidRequest = #"Bearer realm="blnk", error="invalid_request""# + resourceMetadata
  private static let resourceMetadata =
    #", resource_metadata="\#(DemoFolder.issuer)/.well-known/oauth-protected-resource""#

  /// In the order of the table in policies/README.md ("Replies").
  var rejections: [ExpectedReply] { credentials + permissions + malformed }

  private var credentials: [ExpectedReply] {
    let tokens = demo.folder
    let target = "GET /proxy/balances?instance_id=inst_demo"
    return [
      ExpectedReply(
        title: "No credentials", request: DemoRequest(target, token: nil), status: 401, code: "TOKEN_REQUIRED",
        challenge: #"Bearer realm="blnk""# + Self.resourceMetadata),
      ExpectedReply(
        title: "An unknown token", request: DemoRequest(target, token: "blnk_at_unknown"), status: 401,
        code: "TOKEN_INVALID", challenge: Self.invalidToken),
      ExpectedReply(
        title: "An expired token", request: DemoRequest(target, token: tokens.expired.text), status: 401,
        code: "TOKEN_EXPIRED", challenge: Self.invalidToken),
      ExpectedReply(
        title: "A token of a revoked client", request: DemoRequest(target, token: tokens.revoked.text),
        status: 401, code: "TOKEN_REVOKED", challenge: Self.invalidToken),
      ExpectedReply(
        title: "A malformed Authorization", request: DemoRequest(target, token: "two words"), status: 400,
        code: "AUTHORIZATION_MALFORMED", challenge: Self.invalidRequest),
      ExpectedReply(
        title: "Two Authorization fields",
        request: DemoRequest(target, token: tokens.app.text, [("Authorization", "Bearer another")]), status: 400,
        code: "AUTHORIZATION_MALFORMED", challenge: Self.invalidRequest),
      ExpectedReply(
        title: "A call from outside the client's networks",
        request: DemoRequest(target, token: tokens.elsewhere.text), status: 403, code: "NETWORK_FORBIDDEN"),
    ]
  }

  private var permissions: [ExpectedReply] {
    let token = demo.folder.app.text
    func instance(_ title: String, _ query: String, _ code: String, status: Int = 400) -> ExpectedReply {
      ExpectedReply(
        title: title, request: DemoRequest("GET /proxy/balances\(query)", token: token), status: status, code: code)
    }
    return [
      ExpectedReply(
        title: "A write with a read-only token",
        request: DemoRequest(
          "POST /proxy/balances?instance_id=inst_demo", token: demo.folder.reader.text, body: "{}"),
        status: 403, code: "SCOPE_INSUFFICIENT",
        challenge: #"Bearer realm="blnk", error="insufficient_scope", scope="proxy:write""#),
      instance("No instance_id", "?limit=1", "INSTANCE_REQUIRED"),
      instance("An empty instance_id", "?instance_id=", "INSTANCE_MALFORMED"),
      instance("Two instance_id", "?instance_id=inst_demo&instance_id=inst_demo", "INSTANCE_MALFORMED"),
      instance("A percent-encoded instance_id", "?instance%5Fid=inst_demo", "INSTANCE_MALFORMED"),
      instance(
        "An instance that the client may not use", "?instance_id=inst_second", "INSTANCE_FORBIDDEN", status: 403),
      ExpectedReply(
        title: "An unknown instance, for a client that may use all instances",
        request: DemoRequest("GET /proxy/balances?instance_id=inst_nowhere", token: demo.folder.operators.text),
        status: 404, code: "INSTANCE_UNKNOWN"),
      ExpectedReply(
        title: "An unknown route",
        request: DemoRequest("POST /proxy/ledgers?instance_id=inst_demo", token: token, body: "{}"), status: 404,
        code: "ROUTE_UNKNOWN"),
      ExpectedReply(
        title: "A method that the route does not allow",
        request: DemoRequest("DELETE /proxy/balances?instance_id=inst_demo", token: token), status: 405,
        code: "METHOD_NOT_ALLOWED", allow: "GET, HEAD, POST"),
      ExpectedReply(
        title: "A path with percent-encoded dots",
        request: DemoRequest("GET /proxy/balances/%2e%2e/x?instance_id=inst_demo", token: token), status: 400,
        code: "REQUEST_MALFORMED"),
    ]
  }

  private var malformed: [ExpectedReply] {
    let token = demo.folder.app.text
    let target = "POST /proxy/balances?instance_id=inst_demo"
    func request(_ line: String, _ fields: [DemoRequest.Field]) -> DemoRequest {
      DemoRequest(line, token: token, fields)
    }
    func rejection(_ title: String, _ request: DemoRequest, _ status: Int, _ code: String) -> ExpectedReply {
      ExpectedReply(title: title, request: request, status: status, code: code, closes: true)
    }
    return [
      rejection("No Host", DemoRequest(raw: "GET / HTTP/1.1\r\n\r\n"), 400, "REQUEST_MALFORMED"),
      rejection(
        "Both Content-Length and Transfer-Encoding",
        request(target, [("Content-Length", "5"), ("Transfer-Encoding", "chunked")]), 400,
        "REQUEST_MALFORMED"),
      rejection(
        "An incomplete request head", DemoRequest(raw: "GET /proxy/balances HTTP/1.1\r\nHost: gate"), 408,
        "REQUEST_TIMEOUT"),
      ExpectedReply(
        title: "A body of more than 5 MiB", request: request(target, [("Content-Length", "5242881")]), status: 413,
        code: "BODY_TOO_LARGE", outcome: "not_sent", closes: true),
      rejection(
        "A request target that is too long",
        request("GET /proxy/balances?x=" + String(repeating: "x", count: 9_000), []), 414,
        "TARGET_TOO_LONG"),
      rejection(
        "An Expect other than 100-continue", request(target, [("Expect", "cake")]), 417, "EXPECTATION_UNSUPPORTED"),
      rejection(
        "Header fields that are too large", request(target, [("X", String(repeating: "x", count: 40_000))]), 431,
        "HEADERS_TOO_LARGE"),
      rejection(
        "A Transfer-Encoding other than chunked", request(target, [("Transfer-Encoding", "gzip")]), 501,
        "NOT_IMPLEMENTED"),
      rejection("HTTP/2 with prior knowledge", DemoRequest(raw: "PRI * HTTP/2.0\r\n\r\n"), 505, "VERSION_UNSUPPORTED"),
    ]
  }

  var faults: [ExpectedReply] {
    let token = demo.folder.app.text
    return [
      ExpectedReply(
        title: "An instance that is down",
        request: DemoRequest("GET /proxy/balances?instance_id=inst_closed", token: token), status: 502,
        code: "UPSTREAM_REFUSED", outcome: "not_sent"),
      ExpectedReply(
        title: "An instance that does not respond in time",
        request: DemoRequest("POST /proxy/balances?instance_id=inst_silent", token: token, body: "{}"), status: 504,
        code: "UPSTREAM_TIMEOUT", outcome: "unknown"),
      ExpectedReply(
        title: "A write to an instance in maintenance",
        request: DemoRequest("POST /proxy/balances?instance_id=inst_paused", token: token, body: "{}"), status: 503,
        code: "INSTANCE_READ_ONLY", outcome: "not_sent"),
    ]
  }
}
