import Audit
import Digests
import FoundationEssentials
import Policies
import System

extension DemoRun {
  /// Uses what operators use: the admin endpoint, the audit log and the token commands.
  func makeOperatorCalls() throws(CommandFault) {
    try heading("For operators")
    try makeAdminCalls()
    try revokeToken()
    try verifyAuditLog()
  }

  private func makeAdminCalls() throws(CommandFault) {
    let admin = GatewayClient(demo.adminAddress)
    for (path, content) in [
      ("/readyz", "ok"), ("/status", #""generation":1"#),
      ("/metrics", #"blnk_gateway_requests_total{route="/proxy/balances",method="GET",status="2xx""#),
    ] {
      let request = DemoRequest(raw: "GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n")
      let response = try admin.send([request.bytes])[0]
      try show("Ask the admin endpoint for \(path)", request, response)
      try check([
        mismatch("status", response.status, expected: 200),
        response.bodyText.contains(content) ? nil : "\(content) is missing",
      ])
    }
  }

  private func verifyAuditLog() throws(CommandFault) {
    waitForOutcomes()
    let exitCode = try run(
      "Verify the audit log", .auditVerify, ["--key-file", demo.folder.auditKey, demo.folder.auditLog])
    try check([mismatch("the exit code", exitCode, expected: 0)])
  }

  /// Waits until the audit log has the outcomes of all writes: they are written up to 100 ms after the response.
  private func waitForOutcomes() {
    for _ in 0..<500 {
      let lines = FileManager.default.contents(atPath: demo.folder.auditLog)?.split(separator: 0x0a) ?? []
      let kinds = lines.compactMap { line in AuditEntry(Array(line).span)?.kind }
      if kinds.count(where: { $0 == .intent }) == kinds.count(where: { $0 == .outcome }) { return }
      sleep(milliseconds: 10)
    }
  }

  private func revokeToken() throws(CommandFault) {
    let reader = demo.folder.reader
    // Only this thread reloads the folder: the command would wait without success.
    let exitCode = try run(
      "Revoke a token", .tokenRevoke,
      ["--policies", demo.folder.policies, "--digest", String(reader.digest.hex.prefix(12)), "--no-wait"])
    try check([mismatch("the exit code", exitCode, expected: 0)])
    demo.reload()
    let expected = ExpectedReply(
      title: "A revoked token", request: DemoRequest("GET /proxy/balances?instance_id=inst_demo", token: reader.text),
      status: 401, code: "TOKEN_REVOKED", challenge: Self.invalidToken)
    try check(expected.mismatches(try call(expected.title, expected.request)))
  }
}
