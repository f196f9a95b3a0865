import Foundation
import Testing

@Suite(.timeLimit(.minutes(10))) struct RefusedCommandLineTests {
  @Test(arguments: [
    (
      [],
      "missing command; use one of init, serve, check, diff, explain, health, demo, sandbox, instance new, client new, "
        + "client secret new, client secret rotate, client secret revoke, token new, token hash, token list, "
        + "token revoke, token rotate, token scan, oauth code, top, idempotency list, idempotency show, "
        + "idempotency resolve, idempotency forget, requests, audit verify, audit show, audit outcomes, audit grants, audit reloads, version, "
        + "or see --help"
    ),
    (["serv"], #"unknown command "serv" (did you mean "serve"?); see --help"#),
    (
      ["token"],
      "use one of token new, token hash, token list, token revoke, token rotate, token scan, or see token --help"
    ),
    (["serve", "--polices", "x"], #"serve: unknown option --polices (did you mean "--policies"?); see --help"#),
    (["check", "--jsno"], #"check: unknown option --jsno (did you mean "--json"?); see --help"#),
    (["check", "--json", "--json"], "check: --json is given twice"),
    (["check", "--json=yes"], "check: --json takes no value"),
    (["top", "--json"], "top: --json goes with --once; see --help"),
    (["check", "x"], #"check: unexpected argument "x"; see --help"#),
    (["serve", "--state", "--listen"], "serve: --state needs a value: --state DIR"),
    (["serve", "--listen="], "serve: --listen needs a value: --listen ADDRESS"),
    (
      ["serve", "--listen", "8080"],
      #"--listen must be "host:port", "[v6]:port" or "unix:/path"; the host is an IP address or localhost"#
    ),
    (
      ["sandbox", "--listen", "127.0.0.1:0", "--key-file", "x", "--as", "0.16"],
      "sandbox: --as 0.16: must be 0.15 or documented"
    ),
    (
      ["audit"], "use one of audit verify, audit show, audit outcomes, audit grants, audit reloads, or see audit --help"
    ),
    (
      ["audit", "verify", "--expect", "abc", "x"],
      "audit verify: --expect abc: must be WRITER:SEQ:HASH, as this command prints it, or 64 hex digits"
    ),
    (
      ["audit", "show", "x"],
      "audit show: needs one of --balance, --client, --destination, --identity, --ledger, --reference, --request, "
        + "--source, --token, --transaction; see --help"
    ),
    (
      ["audit", "show", "--token", "blnk_at_secret", "x"],
      "audit show: --token takes a token's note or digest, not the token, which others could see here"
    ),
    (
      ["requests", "--code", "rate_limted", "x"],
      "requests: --code rate_limted: neither a code of the gateway nor a status (did you mean \"GATEWAY_RATE_LIMITED\"?)"
    ),
    (
      ["requests", "--since", "yesterday", "x"],
      "requests: --since yesterday: must be an RFC 3339 time, such as 2026-11-29T03:27:23Z, or a duration before now, such "
        + "as 10m"
    ),
    (["requests", "--limit", "0", "x"], "requests: --limit 0: must be a number from 1 to 10000"),
    (
      ["requests", "--limit", "1", "--slowest", "1", "x"],
      "requests: give either --slowest or --limit; see --help"
    ),
    (["audit", "outcomes", "-v"], #"audit outcomes: unexpected argument "-v"; see --help"#),
    (["instance"], "use one of instance new, or see instance --help"),
    (["instance", "new"], "instance new: missing ID; see --help"),
    (
      ["instance", "new", "a"],
      "instance new: needs --core URL and one of --key-env, --key-file and --key-credential; see --help"
    ),
    (["client", "new", "a"], "client new: needs --instances LIST, such as inst_main or '*'; see --help"),
    (["client", "new", "a", "b"], #"client new: unexpected argument "b"; it takes one ID; see --help"#),
    (["sandbox"], "sandbox: --listen ADDRESS and --key-file FILE are required; see --help"),
  ])
  func `rejects an invalid command line`(arguments: [String], message: String) throws {
    let outcome = try Program.run(arguments)
    #expect(outcome.exitCode == 2)
    #expect(outcome.errors == "error: \(message)\n")
    #expect(outcome.output.isEmpty)
  }

  @Test(arguments: [
    ["check", "--policies", "nowhere"], ["serve", "--policies", "nowhere"], ["demo", "--policies", "nowhere"],
    ["check", "--state", "nowhere"], ["sandbox", "--listen", "127.0.0.1:0", "--key-file", "nowhere"],
  ])
  func `names what is missing`(arguments: [String]) throws {
    let outcome = try Program.run(arguments)
    #expect(outcome.exitCode == 1)
    #expect((outcome.output + outcome.errors).contains(#/nowhere: (there is )?no such f/#))
    #expect(!outcome.errors.contains("Fatal") && outcome.errorLines.count <= 2)
  }

  @Test func `names the key that is not set`() throws {
    for command in [["serve", "--strict"], ["check"]] {
      let outcome = try Program.run(
        command + ["--policies", Program.policies], environment: ["BLNK_DEMO_KEY": "one"])
      #expect(outcome.exitCode == 1)
      let lines = (outcome.output + outcome.errors).split(separator: "\n")
      #expect(
        lines.first?.contains("instances.inst_second.key.env: the environment variable BLNK_SECOND_KEY is not") == true)
    }
  }

  @Test func `rejects help on an unknown command`() throws {
    let outcome = try Program.run(["help", "serv"])
    #expect(outcome.exitCode == 2 && outcome.output.isEmpty)
    #expect(outcome.errors == "error: unknown command \"serv\" (did you mean \"serve\"?); see --help\n")
    #expect(try Program.run(["help", "token", "nwe"]).exitCode == 2)
  }

  @Test func `never repeats a token that is given as an argument`() throws {
    for arguments in [["token", "hash", "blnk_at_secret"], ["token", "hash", "--token=blnk_at_secret"]] {
      let outcome = try Program.run(arguments)
      #expect(outcome.exitCode == 2)
      #expect(!outcome.errors.contains("secret"))
    }
  }
}
