import Digests
import Foundation
import Policies
import TestFolders
import Testing

/// `diff` over real folders.
@Suite(.timeLimit(.minutes(10))) struct DiffCommandTests {
  private let folder: TemporaryFolder
  private var old: String { folder.path("old") }
  private var new: String { folder.path("new") }

  init() throws {
    folder = try TemporaryFolder()
    for name in ["old", "new"] {
      try folder.makeFolder(name)
      try write(Self.clients(), to: "\(name)/clients.json")
      try write(Self.instances, to: "\(name)/instances.json")
      try write("{}", to: "\(name)/gateway.json")
    }
  }

  private static let digest = "7fa1f13e00e3e630c90c9d7065ffc12a10850ab022ae6d974e40d9710bb41529"

  private static func clients(_ scopes: String = #"["proxy:read"]"#, _ more: String = "") -> String {
    """
    { "clients": { "shop": {
      "scopes": \(scopes), "instances": ["inst_main"],
      "tokens": [{ "sha256": "\(digest)", "note": "till" }]\(more) } } }
    """
  }

  private static let instances = """
    { "instances": {
      "inst_main": { "url": "http://127.0.0.1:5001", "key": { "env": "NOT_SET" } } } }
    """

  private func write(_ text: String, to name: String) throws { try folder.write(text, to: name) }

  private func diff(_ arguments: String...) throws -> Program.Outcome { try Program.run(["diff"] + arguments) }

  @Test func `says nothing but that no client gains access if nothing differs, without any key`() throws {
    let outcome = try diff(old, new)
    #expect(outcome.exitCode == 0 && outcome.output == "No client gains access.\n" && outcome.errors.isEmpty)
    // The form of a file does not matter.
    let reformatted = Self.instances.replacing("\n", with: " ").replacing("{ \"env\"", with: "{\"env\"")
    try write(reformatted, to: "new/instances.json")
    #expect(try diff(old, new).output == outcome.output)
  }

  @Test func `says in sentences who gains and loses what, and exits with 1 if a client gains`() throws {
    try write(
      Self.clients(#"["proxy:read", "proxy:write"]"#).replacing(
        #"["inst_main"]"#, with: #"["inst_main", "inst_eu"]"#), to: "new/clients.json")
    try write(
      Self.instances.replacing(
        #""inst_main":"#,
        with: #""inst_eu": { "url": "http://127.0.0.1:5002", "key": { "file": "eu.key" } }, "inst_main":"#),
      to: "new/instances.json")
    let there = try diff(old, new)
    #expect(
      there.output == """
        Access:
          shop gains all 19 routes of proxy:read and proxy:write on inst_eu (token 7fa1f13e00e3 (till)).
          shop gains all 8 routes of proxy:write on inst_main (token 7fa1f13e00e3 (till)).
        Settings:
          instances.json: instances.inst_eu is set to {"key": {"file": "eu.key"}, "url": "http://127.0.0.1:5002"}
          clients.json: clients.shop.scopes adds "proxy:write"
          clients.json: clients.shop.instances adds "inst_eu"
        A client gains access.

        """)
    #expect(there.exitCode == 1)
    let back = try diff(new, old)
    #expect(back.exitCode == 0 && back.output.hasSuffix("\nNo client gains access.\n"))
    let loss = "  shop loses all 8 routes of proxy:write on inst_main (token 7fa1f13e00e3 (till)).\n"
    #expect(back.output.contains(loss))
    #expect(back.output.contains("  clients.json: clients.shop.scopes removes \"proxy:write\"\n"))
  }

  @Test func `names each route when they are not all of a scope`() throws {
    let route = #"{ "scope": "own", "operation": "x" }"#
    let routes =
      #"{ "routes": { "/proxy/a": { "GET": \#(route), "PUT": \#(route) }, "#
      + #""/proxy/b/:id": { "GET": \#(route) } } }"#
    try write(routes, to: "new/routes.json")
    try write(routes.replacing("own", with: "other"), to: "old/routes.json")
    for name in ["old", "new"] { try write(Self.clients(#"["own"]"#), to: "\(name)/clients.json") }
    let outcome = try diff(old, new)
    #expect(
      outcome.output.contains("  shop gains GET and PUT /proxy/a and GET /proxy/b/:id on inst_main (token "),
      "\(outcome.output)")
    #expect(outcome.output.contains("routes.json: routes./proxy/a.GET.scope is \"own\", was \"other\"\n"))
  }

  @Test func `lists settings of every kind, keys by their source, and tokens by their digest`() throws {
    try write(
      Self.clients(
        #"["proxy:read"]"#,
        #", "default_instance": "inst_main", "networks": ["10.0.0.0/8"], "limits": { "concurrent": 9 }"#
      ).replacing(#""note": "till""#, with: #""expires": "2099-01-01T00:00:00Z""#), to: "new/clients.json")
    try write(
      """
      { "instances": {
        "inst_main": { "url": "https://core.example", "key": [{ "file": "new.key" }, { "env": "NOT_SET" }],
          "writes": false, "tls": { "ca_file": "ca.pem" }, "breaker": { "failures": 9 },
          "timeouts": { "total_s": 5, "first_byte_s": 5 } } } }
      """, to: "new/instances.json")
    try write(
      #"{ "scope_aliases": { "ledger": ["proxy:read"] }, "idempotency": {}, "limits": { "connections": 100 } }"#,
      to: "new/gateway.json")
    let outcome = try diff(old, new)
    #expect(outcome.exitCode == 0, "\(outcome)")
    for line in [
      "shop's token 7fa1f13e00e3 now expires at 2099-01-01T00:00:00Z; before, it never expires.",
      "clients.json: clients.shop.default_instance is set to \"inst_main\"",
      "clients.json: clients.shop.networks is set to [\"10.0.0.0/8\"]",
      "clients.json: clients.shop.limits is set to {\"concurrent\": 9}",
      "instances.json: instances.inst_main.url is \"https://core.example\", was \"http://127.0.0.1:5001\"",
      #"instances.json: instances.inst_main.key is [{"file": "new.key"}, {"env": "NOT_SET"}], was {"env": "NOT_SET"}"#,
      "instances.json: instances.inst_main.writes is set to false",
      #"instances.json: instances.inst_main.tls is set to {"ca_file": "ca.pem"}"#,
      #"instances.json: instances.inst_main.breaker is set to {"failures": 9}"#,
      #"gateway.json: scope_aliases is set to {"ledger": ["proxy:read"]}"#,
      "gateway.json: idempotency is set to {}", #"gateway.json: limits is set to {"connections": 100}"#,
    ] {
      #expect(outcome.output.contains("  \(line)\n"), "\(line): \(outcome.output)")
    }
    #expect(!outcome.output.contains(Self.digest))
  }

  @Test func `gives JSON to scripts`() throws {
    try write(Self.clients(#"["proxy:read", "proxy:write"]"#), to: "new/clients.json")
    let outcome = try diff("--json", old, new)
    let object = try #require(JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    #expect(outcome.exitCode == 1 && object["gives_access"] as? Bool == true && object["complete"] as? Bool == true)
    let access = try #require((object["access"] as? [[String: Any]])?.first)
    let client = try #require((access["clients"] as? [[String: Any]])?.first)
    #expect(client["client"] as? String == "shop" && client["new"] as? Bool == false)
    #expect(client["credentials"] as? [String] == ["token 7fa1f13e00e3 (till)"])
    let area = try #require((access["gains"] as? [[String: Any]])?.first)
    #expect((area["routes"] as? [String])?.contains("POST /proxy/balances") == true)
    #expect(area["instances"] as? [String] == ["inst_main"] && (access["loses"] as? [Any])?.isEmpty == true)
    let setting = try #require((object["settings"] as? [[String: Any]])?.first)
    #expect(setting["key"] as? String == "clients.shop.scopes" && setting["after"] as? String == #""proxy:write""#)
    let check = try Program.run(["check", "--without-keys", "--policies", new]).output
    #expect(check.contains("sha256 \(object["new"] as? String ?? "-")\n"))
  }

  @Test func `a folder that is missing or has any error gives no answer, and no secret`() throws {
    try folder.makeFolder("new/instances")
    let secret = "this-is-the-key-itself"
    try write(
      #"{ "instances": { "inst_x": { "url": "http://127.0.0.1:1", "key": "\#(secret)" } } }"#,
      to: "new/instances/x.json")
    for (first, second) in [(old, new), (new, old), (old, folder.path("absent"))] {
      let outcome = try diff(first, second)
      #expect(outcome.exitCode == 4 && outcome.output.isEmpty && !outcome.errors.contains(secret), "\(outcome)")
      #expect(outcome.errors.contains("the policy is invalid"))
    }
    #expect(try diff(old).exitCode == 2 && diff(old, old, old).exitCode == 2)
  }

  @Test func `2,000 clients that all change are compared, and cut to 50 sentences`() throws {
    func clients(_ scopes: String) -> String {
      let entries = (0..<2_000).map { number in
        let digest = Token.digest(of: "\(number)").hex
        return #""c\#(number)":{"scopes":[\#(scopes)],"instances":["inst_main"],"#
          + #""limits":{"concurrent":\#(scopes.count)},"tokens":[{"sha256":"\#(digest)"}]}"#
      }
      return "{\"clients\":{\(entries.joined(separator: ",\n"))}}"
    }
    try write(clients(#""proxy:read""#), to: "old/clients.json")
    try write(clients(#""proxy:read","proxy:write""#), to: "new/clients.json")
    let outcome = try diff(old, new)
    #expect(outcome.exitCode == 1)
    #expect(
      outcome.output.contains(
        "  c0, c1, c10, c100 and 1996 more gain all 8 routes of proxy:write on inst_main.\n"), "\(outcome.output)")
    #expect(outcome.output.contains("\n  … and 3950 more; --json lists all\n"))
  }
}
