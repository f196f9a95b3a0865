import Policies

extension DemoRun {
  private static let invalidToken = #"Bearer realm="blnk", error="invalid_token""#
  private static let invalidRequest = #"Bearer realm="blnk", error="invalid_request""#

  /// In the order of the table of answers.
  var refusals: [Refusal] { credentials + permissions + malformed }

  private var credentials: [Refusal] {
    let tokens = stage.folder
    let target = "GET /proxy/balances?instance_id=inst_demo"
    return [
      Refusal(
        title: "No credentials", request: DemoRequest(target, token: nil), status: 401, code: "TOKEN_REQUIRED",
        challenge: #"Bearer realm="blnk""#),
      Refusal(
        title: "A token that nobody knows", request: DemoRequest(target, token: "blnk_at_unknown"), status: 401,
        code: "TOKEN_INVALID", challenge: Self.invalidToken),
      Refusal(
        title: "A token that has expired", request: DemoRequest(target, token: tokens.expired.text), status: 401,
        code: "TOKEN_EXPIRED", challenge: Self.invalidToken),
      Refusal(
        title: "A token of a client that is revoked", request: DemoRequest(target, token: tokens.revoked.text),
        status: 401, code: "TOKEN_REVOKED", challenge: Self.invalidToken),
      Refusal(
        title: "An Authorization that is malformed", request: DemoRequest(target, token: "two words"), status: 400,
        code: "AUTHORIZATION_MALFORMED", challenge: Self.invalidRequest),
      Refusal(
        title: "Two Authorization fields",
        request: DemoRequest(target, token: tokens.app.text, [("Authorization", "Bearer another")]), status: 400,
        code: "AUTHORIZATION_MALFORMED", challenge: Self.invalidRequest),
      Refusal(
        title: "A token from another network than its client's",
        request: DemoRequest(target, token: tokens.elsewhere.text), status: 403, code: "NETWORK_FORBIDDEN"),
    ]
  }

  private var permissions: [Refusal] {
    let token = stage.folder.app.text
    func instance(_ title: String, _ query: String, _ code: String, status: Int = 400) -> Refusal {
      Refusal(
        title: title, request: DemoRequest("GET /proxy/balances\(query)", token: token), status: status, code: code)
    }
    return [
      Refusal(
        title: "A write with a token that may read",
        request: DemoRequest(
          "POST /proxy/balances?instance_id=inst_demo", token: stage.folder.reader.text, body: "{}"),
        status: 403, code: "SCOPE_INSUFFICIENT",
        challenge: #"Bearer realm="blnk", error="insufficient_scope", scope="proxy:write""#),
      instance("No instance_id", "?limit=1", "INSTANCE_REQUIRED"),
      instance("An empty instance_id", "?instance_id=", "INSTANCE_MALFORMED"),
      instance("Two of them", "?instance_id=inst_demo&instance_id=inst_demo", "INSTANCE_MALFORMED"),
      instance("One in disguise", "?instance%5Fid=inst_demo", "INSTANCE_MALFORMED"),
      instance("An instance that is not the client's", "?instance_id=inst_second", "INSTANCE_FORBIDDEN", status: 403),
      Refusal(
        title: "An instance that does not exist, for a client that may use all",
        request: DemoRequest("GET /proxy/balances?instance_id=inst_nowhere", token: stage.folder.operators.text),
        status: 404, code: "INSTANCE_UNKNOWN"),
      Refusal(
        title: "A path that is no route",
        request: DemoRequest("POST /proxy/ledgers?instance_id=inst_demo", token: token, body: "{}"), status: 404,
        code: "ROUTE_UNKNOWN"),
      Refusal(
        title: "A method that the route does not take",
        request: DemoRequest("DELETE /proxy/balances?instance_id=inst_demo", token: token), status: 405,
        code: "METHOD_NOT_ALLOWED", allow: "GET, HEAD, POST"),
      Refusal(
        title: "A path that two readers could read in two ways",
        request: DemoRequest("GET /proxy/balances/%2e%2e/x?instance_id=inst_demo", token: token), status: 400,
        code: "REQUEST_MALFORMED"),
    ]
  }

  private var malformed: [Refusal] {
    let token = stage.folder.app.text
    let target = "POST /proxy/balances?instance_id=inst_demo"
    func request(_ line: String, _ fields: [DemoRequest.Field]) -> DemoRequest {
      DemoRequest(line, token: token, fields)
    }
    func refusal(_ title: String, _ request: DemoRequest, _ status: Int, _ code: String) -> Refusal {
      Refusal(title: title, request: request, status: status, code: code, closes: true)
    }
    return [
      refusal("No Host", DemoRequest(raw: "GET / HTTP/1.1\r\n\r\n"), 400, "REQUEST_MALFORMED"),
      refusal(
        "Two lengths of one body", request(target, [("Content-Length", "5"), ("Transfer-Encoding", "chunked")]), 400,
        "REQUEST_MALFORMED"),
      refusal(
        "A head that does not end", DemoRequest(raw: "GET /proxy/balances HTTP/1.1\r\nHost: gate"), 408,
        "REQUEST_TIMEOUT"),
      Refusal(
        title: "A body of more than 5 MiB", request: request(target, [("Content-Length", "5242881")]), status: 413,
        code: "BODY_TOO_LARGE", outcome: "not_sent", closes: true),
      refusal(
        "A target that is too long", request("GET /proxy/balances?x=" + String(repeating: "x", count: 9_000), []), 414,
        "TARGET_TOO_LONG"),
      refusal(
        "Another expectation than 100-continue", request(target, [("Expect", "cake")]), 417, "EXPECTATION_UNSUPPORTED"),
      refusal(
        "Fields that are too large", request(target, [("X", String(repeating: "x", count: 40_000))]), 431,
        "HEADERS_TOO_LARGE"),
      refusal(
        "A transfer coding that is not chunked", request(target, [("Transfer-Encoding", "gzip")]), 501,
        "NOT_IMPLEMENTED"),
      refusal("HTTP/2 in the clear", DemoRequest(raw: "PRI * HTTP/2.0\r\n\r\n"), 505, "VERSION_UNSUPPORTED"),
    ]
  }

  /// What instances do to a call.
  var faults: [Refusal] {
    let token = stage.folder.app.text
    return [
      Refusal(
        title: "An instance that is down",
        request: DemoRequest("GET /proxy/balances?instance_id=inst_closed", token: token), status: 502,
        code: "UPSTREAM_REFUSED", outcome: "not_sent"),
      Refusal(
        title: "An instance that does not answer in time",
        request: DemoRequest("POST /proxy/balances?instance_id=inst_silent", token: token, body: "{}"), status: 504,
        code: "UPSTREAM_TIMEOUT", outcome: "unknown"),
      Refusal(
        title: "A write to an instance under maintenance",
        request: DemoRequest("POST /proxy/balances?instance_id=inst_paused", token: token, body: "{}"), status: 503,
        code: "INSTANCE_READ_ONLY", outcome: "not_sent"),
    ]
  }
}
