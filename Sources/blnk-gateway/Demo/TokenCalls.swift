import Digests
import Policies

extension DemoRun {
  /// Gets a token from the gateway's token endpoint, uses it and revokes it, as an app does.
  func makeTokenCalls() throws(CommandFault) {
    try heading("For apps that get their tokens by OAuth")
    let client = "client_id=\(DemoFolder.oauthClient)&client_secret=\(demo.folder.clientSecret.text)"
    let secrets = [demo.folder.clientSecret.text]
    let granted = try call(
      "Get a token that only reads",
      DemoRequest(
        "POST /oauth/token", form: "grant_type=client_credentials&scope=proxy:read&\(client)", secrets: secrets))
    try check([
      mismatch("status", granted.status, expected: 200),
      mismatch("token_type", granted.text("token_type"), expected: "Bearer"),
      mismatch("scope", granted.text("scope"), expected: "proxy:read"),
    ])
    let token = granted.text("access_token") ?? ""
    let read = try call(
      "Call with the token", DemoRequest("GET /proxy/balances?instance_id=inst_demo", token: token))
    try check([mismatch("status", read.status, expected: 200)])
    let write = try call(
      "Write with the token", DemoRequest("POST /proxy/balances?instance_id=inst_demo", token: token, body: "{}"))
    try check([
      mismatch("status", write.status, expected: 403),
      mismatch("code", write.text("code"), expected: "GATEWAY_SCOPE_INSUFFICIENT"),
    ])
    let revoked = try call(
      "Revoke the token",
      DemoRequest("POST /oauth/revoke", form: "token=\(token)&\(client)", secrets: secrets + [token]))
    try check([mismatch("status", revoked.status, expected: 200)])
    try checkRevoked(token)
    let refused = try call(
      "A wrong client secret",
      DemoRequest(
        "POST /oauth/token", form: "grant_type=client_credentials&client_id=\(DemoFolder.oauthClient)&client_secret=x",
        secrets: []))
    try check([
      mismatch("status", refused.status, expected: 401),
      mismatch("error", refused.text("error"), expected: "invalid_client"),
    ])
  }

  private func checkRevoked(_ token: String) throws(CommandFault) {
    let expected = ExpectedReply(
      title: "The token is refused now",
      request: DemoRequest("GET /proxy/balances?instance_id=inst_demo", token: token),
      status: 401, code: "TOKEN_REVOKED", challenge: Self.invalidToken)
    try check(expected.mismatches(try call(expected.title, expected.request)))
  }
}
