import Foundation
import TestFolders
import Testing

@Suite(.timeLimit(.minutes(10))) struct DemoTests {
  private static let checkCount = 61

  @Test func `demo --once passes all its checks, and leaves nothing behind`() throws {
    let temporary = try TemporaryFolder()
    let outcome = try Program.run(
      ["demo", "--once", "--policies", Program.policies], environment: ["TMPDIR": temporary.path])
    #expect(outcome.exitCode == 0, "\(outcome.output)")
    #expect(outcome.output.hasSuffix("All \(Self.checkCount) checks passed.\n"))
    #expect(outcome.output.ranges(of: "\n  ok\n").count == Self.checkCount)
    #expect(!outcome.output.contains("FAILED"))
    #expect(try temporary.entries.isEmpty)
  }

  @Test func `demo --once says which call failed, and exits 1`() throws {
    let temporary = try TemporaryFolder()
    let policies = try PolicyCopy(gateway: "{}")
    let routes =
      #"{ "routes": { "/proxy/balances": { "GET": { "scope": "proxy:read", "operation": "balances.list" } } } }"#
    try Data(routes.utf8).write(to: URL(filePath: "\(policies.path)/routes.json"))
    let outcome = try Program.run(
      ["demo", "--once", "--policies", policies.path], environment: ["TMPDIR": temporary.path])
    #expect(outcome.exitCode == 1)
    #expect(outcome.output.contains("  FAILED: status is 405, expected 201"))
    #expect(try temporary.entries.isEmpty)
  }

  /// A person would paste the same lines.
  @Test func `the lines to paste work, and Ctrl-C leaves nothing behind`() throws {
    let temporary = try TemporaryFolder()
    let program = try Program.start(["demo", "--policies", Program.policies], environment: ["TMPDIR": temporary.path])
    try program.waitForOutput("Ctrl-C stops the demo")
    #expect(try temporary.entries.count == 1)
    let guide = program.output
    let paste = try #require(guide.firstMatch(of: #/Paste into another terminal\n((.|\n)*)\nCtrl-C/#)?.1)
    let shell = try Program.shell(String(paste))
    let revoked = try #require(shell.output.range(of: "CLIENT ")).lowerBound
    let (before, after) = (shell.output[..<revoked], shell.output[revoked...])
    for part in [
      #"{"message":"Balance identity updated successfully"}"#, "401 Unauthorized", "GATEWAY_TOKEN_REQUIRED",
      " of its app, scope proxy:read proxy:write, issued at ", "GATEWAY_TOKEN_REVOKED",
      "GATEWAY_SCOPE_INSUFFICIENT", "GATEWAY_INSTANCE_FORBIDDEN", "GATEWAY_INSTANCE_REQUIRED",
      "rejected: 403 GATEWAY_SCOPE_INSUFFICIENT\n", "\nok\n", #""generation":1,"#, "\nblnk_gateway_requests_total{",
      "balances.link_identity  balance_id bln_", "    done, status 200; outcome written at ", " entries, intact\nhead ",
    ] { #expect(before.contains(part), "\(part) is missing:\n\(shell.output)") }
    for part in ["demo-reader  ", "active", "GATEWAY_TOKEN_REVOKED"] {
      #expect(after.contains(part), "\(part) is missing:\n\(shell.output)")
    }
    #expect(shell.errors.contains(" is revoked in ") && shell.errors.contains("In force after "), "\(shell.errors)")
    program.signal(SIGINT)
    #expect(program.end().exitCode == 0)
    #expect(try temporary.entries.isEmpty)
  }
}
