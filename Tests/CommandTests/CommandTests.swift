import Foundation
import Glibc
import Policies
import TestFolders
import Testing

@Suite(.timeLimit(.minutes(10))) struct CommandTests {
  @Test func `check counts what is in force`() throws {
    let outcome = try Program.run(["check", "--policies=\(Program.policies)"], environment: Program.keys)
    #expect(outcome.exitCode == 0)
    let beginning = "\(Program.policies): 2 clients, 2 instances, 19 routes; sha256 "
    let digest = outcome.output.hasPrefix(beginning) ? outcome.output.dropFirst(beginning.count) : ""
    #expect(digest.count == 65 && digest.hasSuffix("\n"), "\(outcome.output)")
    #expect(outcome.errors.isEmpty)
  }

  @Test func `check gives JSON to scripts`() throws {
    let outcome = try Program.run(["check", "--json"], environment: ["BLNK_GATEWAY_POLICIES": Program.policies])
    #expect(outcome.exitCode == 1)
    let object = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any]
    #expect(object?["ok"] as? Bool == false)
    let first = (object?["findings"] as? [[String: Any]])?.first
    #expect(first?["severity"] as? String == "error")
    #expect(first?["key_path"] as? String == "instances.inst_demo.key.env")
    #expect(first?["line"] as? Int == 6)
  }

  @Test func `check fails for a warning only when it is strict, and never for a note`() throws {
    let folder = try PolicyCopy(gateway: #"{ "listen": { "address": "127.0.0.1:0", "trusts": "forwarded" } }"#)
    for (arguments, code) in [([], 0), (["--strict"], 1), (["--strict", "--json"], 1)] as [([String], Int32)] {
      let outcome = try Program.run(["check", "--policies", folder.path] + arguments, environment: Program.keys)
      #expect(outcome.exitCode == code && outcome.output.contains("trusted_proxies"))
    }
    let clients = #"{ "clients": { "a": { "scopes": ["*"], "instances": ["*"] } } }"#
    let open = try PolicyCopy(gateway: "{}")
    try Data(clients.utf8).write(to: URL(filePath: "\(open.path)/clients.json"))
    let outcome = try Program.run(["check", "--strict", "--policies", open.path], environment: Program.keys)
    #expect(outcome.exitCode == 0 && outcome.output.contains("clients.json:1: note: clients.a.scopes: grants all"))
  }

  @Test func `check does not fail for tokens that stay listed on purpose, however strict`() throws {
    let folder = try PolicyCopy(gateway: "{}")
    let (ended, gone) = (String(repeating: "1", count: 64), String(repeating: "2", count: 64))
    let clients = """
      { "clients": { "a": { "scopes": ["proxy:read"], "instances": ["inst_demo", "inst_second"],
        "default_instance": "inst_demo",
        "tokens": [ { "sha256": "\(ended)", "expires": "2020-01-01T00:00:00Z" }, { "sha256": "\(gone)" } ] } } }
      """
    try Data(clients.utf8).write(to: URL(filePath: "\(folder.path)/clients.json"))
    let check = ["check", "--strict", "--policies", folder.path]
    // The second token is in force, and may go to the wrong ledger.
    #expect(
      try Program.run(check, environment: Program.keys).output.contains("warning: clients.a.tokens[1]: some SDKs"))
    for revoked in [#"{ "tokens": ["\#(gone)"], "clients": [] }"#, #"{ "tokens": [], "clients": ["a"] }"#] {
      try Data(#"{ "revoked": \#(revoked) }"#.utf8).write(to: URL(filePath: "\(folder.path)/revoked.json"))
      let outcome = try Program.run(check, environment: Program.keys)
      #expect(outcome.exitCode == 0, "\(outcome.output)")
      #expect(outcome.output.contains("note: clients.a.tokens[0].expires: the token has expired"))
    }
  }

  @Test func `serve says where it listens, reads the folder again on SIGHUP, and ends in order`() throws {
    let arguments = ["serve", "--policies", Program.policies, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    for number in [SIGTERM, SIGINT] {
      let program = try Program.start(arguments, environment: Program.keys)
      let port = try program.line(beginning: "listening on 127.0.0.1:")
      #expect(Int(port).map { $0 > 0 } == true)
      let admin = try program.line(beginning: "admin endpoint on 127.0.0.1:")
      #expect(Int(admin).map { $0 > 0 } == true)
      program.signal(SIGHUP)
      _ = try program.line(beginning: "\(Program.policies): generation 2 in force: 2 clients, 2 instances")
      let second = try Program.run(
        ["serve", "--policies", Program.policies, "--listen", "127.0.0.1:\(port)"], environment: Program.keys)
      #expect(second.exitCode == 1)
      #expect(second.errors.hasPrefix("error: cannot listen on 127.0.0.1:\(port): Address already in use; "))
      #expect(second.errorLines.count == 1)
      program.signal(number)
      let outcome = program.end()
      #expect(outcome.exitCode == 0)
    }
  }

  @Test func `sandbox serves until it gets a signal`() throws {
    let folder = try PolicyCopy(gateway: "{}")
    let file = "\(folder.path)/core.key"
    try Data("a-key\n".utf8).write(to: URL(filePath: file))
    let program = try Program.start(["sandbox", "--listen", "127.0.0.1:0", "--key-file", file])
    let port = try program.line(beginning: "sandbox for Blnk Core, in memory only, listening on 127.0.0.1:")
    let second = try Program.run(["sandbox", "--listen", "127.0.0.1:\(port)", "--key-file", file])
    #expect(second.exitCode == 1)
    #expect(second.errors == "error: cannot listen on 127.0.0.1:\(port): Address already in use\n")
    program.signal(SIGTERM)
    #expect(program.end().exitCode == 0)
    let other = try Program.start(["sandbox", "--listen", "127.0.0.1:0", "--key-file", file, "--as=documented"])
    _ = try other.line(beginning: "sandbox for Blnk Core (as documented), in memory only, listening on 127.0.0.1:")
    other.signal(SIGTERM)
    #expect(other.end().exitCode == 0)
  }

  @Test func `a new token is written to standard output, its digest to standard error`() throws {
    let made = try Program.run(["token", "new"])
    let token = String(made.output.dropLast())
    #expect(made.exitCode == 0 && made.output == token + "\n" && Token.hasValidChecksum(token), "\(made.output)")
    #expect(!made.errors.contains(token))
    for ending in ["", "\n", "\r\n"] {
      let hashed = try Program.run(["token", "hash"], input: token + ending)
      #expect(hashed.exitCode == 0 && hashed.errors.isEmpty)
      #expect(made.errors.contains(#"{ "sha256": "\#(hashed.output.dropLast())" }"#), "\(made.errors)")
    }
    #expect(try Program.run(["token", "new"]).output != made.output)
  }

  @Test func `token hash warns of a typing error, and refuses what no field can carry`() throws {
    let mistyped = try Program.run(["token", "hash"], input: "blnk_at_mistyped\n")
    #expect(mistyped.exitCode == 0)
    #expect(mistyped.output == "\(Token.digest(of: "blnk_at_mistyped"))\n")
    #expect(mistyped.errors.hasPrefix("warning: the token's checksum is wrong"))
    for input in ["", "\n", "two words\n", "two\nlines\n", String(repeating: "x", count: 8193)] {
      let outcome = try Program.run(["token", "hash"], input: input)
      #expect(outcome.exitCode == 1 && outcome.output.isEmpty && outcome.errorLines.count == 1)
    }
  }

  @Test func `version is for people and for scripts`() throws {
    let text = try Program.run(["version"]).output
    let lines = try #require(
      text.wholeMatch(
        of: /blnk-gateway ([0-9]+\.[0-9]+\.[0-9]+)\ncommit (.+)\nSwift (.+)\nlibcurl ([0-9.]+), built with ([0-9.]+)\n/),
      "\(text)")
    let json = try Program.run(["version", "--json"]).output
    let (_, version, commit, swift, running, linked) = lines.output
    #expect(
      json == """
        {"commit":"\(commit)","libcurl":{"linked":"\(linked)","running":"\(running)"},"name":"blnk-gateway",\
        "swift":"\(swift)","version":"\(version)"}

        """)
    #expect(try Program.run(["--version"]).output == text)
  }

  /// Where `/proc` is missing, Swift's own CommandLine has no arguments.
  @Test(.enabled(if: getuid() == 0, "only root can hide /proc")) func `commands run without /proc`() throws {
    func run(_ command: String) throws -> Program.Outcome {
      try Program.shell(
        "exec unshare --mount sh -c 'mount -t tmpfs -o size=4k none /proc && \(command)' sh \(Program.path)")
    }
    #expect(try run("ls -A /proc").output == "")
    #expect(try run("exec \"$1\" version --json").output == Program.run(["version", "--json"]).output)
    // The relative path, as the demo shows it to the user.
    let demo = try run("cd \"${1%/*}\" && exec ./blnk-gateway demo --once --policies \(Program.policies)")
    #expect(demo.exitCode == 0, "\(demo.output.suffix(500))\(demo.errors.suffix(500))")
  }
}

/// The shipped policy with another gateway.json.
final class PolicyCopy {
  private let folder: TemporaryFolder
  var path: String { folder.path("policies") }

  init(gateway: String) throws {
    folder = try TemporaryFolder()
    try FileManager.default.copyItem(atPath: Program.policies, toPath: path)
    try Data(gateway.utf8).write(to: URL(filePath: "\(path)/gateway.json"))
  }
}
