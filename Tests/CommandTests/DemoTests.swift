import Foundation
import TestFolders
import Testing

@Suite(.timeLimit(.minutes(10))) struct DemoTests {
  @Test func `makes its calls, finds all of them right, and leaves nothing behind`() throws {
    let temporary = try TemporaryFolder()
    let outcome = try Program.run(
      ["demo", "--once", "--policies", Program.policies], environment: ["TMPDIR": temporary.path])
    #expect(outcome.exitCode == 0)
    #expect(outcome.output.hasSuffix("All 49 calls were answered rightly.\n"))
    #expect(outcome.output.ranges(of: "\n  right\n").count == 49)
    #expect(!outcome.output.contains("WRONG"))
    #expect(try temporary.entries.isEmpty)
  }

  @Test func `says which call went wrong, and fails`() throws {
    let temporary = try TemporaryFolder()
    let policies = try PolicyCopy(gateway: "{}")
    let routes =
      #"{ "routes": { "/proxy/balances": { "GET": { "scope": "proxy:read", "operation": "balances.list" } } } }"#
    try Data(routes.utf8).write(to: URL(filePath: "\(policies.path)/routes.json"))
    let outcome = try Program.run(
      ["demo", "--once", "--policies", policies.path], environment: ["TMPDIR": temporary.path])
    #expect(outcome.exitCode == 1)
    #expect(outcome.output.contains("  WRONG: status is 405, not 201"))
    #expect(try temporary.entries.isEmpty)
  }

  @Test func `runs until Ctrl-C, and leaves nothing behind`() throws {
    let temporary = try TemporaryFolder()
    let program = try Program.start(["demo", "--policies", Program.policies], environment: ["TMPDIR": temporary.path])
    try program.waitForOutput("Ctrl-C ends it all.")
    #expect(try temporary.entries.count == 1)
    program.signal(SIGINT)
    let outcome = program.end()
    #expect(outcome.exitCode == 0)
    #expect(outcome.output.contains("TOKEN=blnk_at_") && outcome.output.contains("DIRECT=blnk_at_"))
    #expect(try temporary.entries.isEmpty)
  }
}
