import Foundation
import TestFolders
import TestSupport
import Testing

/// What operators see and do about idempotency keys, through the running gateway.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct KeyedOperatorTests {
  /// A stage with an admin endpoint on a Unix socket, with a key in each state.
  private static func stage(
    _ settings: [String: any Sendable] = [:], routes: [String: any Sendable]? = nil
  ) throws -> (KeyedStage, TemporaryFolder) {
    let root = try TemporaryFolder()
    let stage = try KeyedStage(
      idempotency: ["response_bytes_max": 1_024],
      settings: ["admin": "unix:\(root.path("admin.sock"))"].merging(settings) { $1 },
      instance: ["timeouts": ["total_s": 1, "first_byte_s": 1]], routes: routes)
    return (stage, root)
  }

  private static func run(
    _ stage: KeyedStage, _ arguments: [String]
  ) throws -> (status: Int32, output: String, errors: String) {
    try runCommand(
      ["idempotency"] + arguments + ["--policies", stage.folder.path], environment: ["TEST_KEY": TestPolicyFolder.key])
  }

  private static func names(_ key: String) -> [String] { ["--client", "app", "--instance", "one", "--key", key] }

  @Test func `list and show name keys in each state, and never show a response`() throws {
    let (stage, root) = try Self.stage()
    defer { withExtendedLifetime(root) {} }
    stage.answers("201 Created", #"{"secret":"of-core"}"#)
    let stored = try stage.write("order 1".debugDescription)
    stage.answers("201 Created", String(repeating: "x", count: 2_000))
    #expect(try stage.write("large").status == 201)
    stage.answers { _ in .reset([]) }
    let cut = try stage.write("cut")
    stage.answers { _ in .stall([]) }
    let socket = try TestSocket(port: stage.gateway.port)
    try socket.send(KeyedStage.request("flying"))
    #expect(eventually { stage.executions == 4 })

    let usual = try Self.run(stage, ["list", "--json"])
    let listed = try #require(
      try JSONSerialization.jsonObject(with: Data(usual.output.utf8)) as? [String: Any])
    let keys = try #require(listed["keys"] as? [[String: Any]])
    #expect(Set(keys.compactMap { $0["key"] as? String }) == ["cut", "flying"] && listed["complete"] as? Bool == true)
    let all = try Self.run(stage, ["list", "--only", "all"])
    #expect(all.status == 0 && all.output.split(separator: "\n").count == 5, "\(all)")
    for (state, key) in [("stored", "order 1"), ("not_kept", "large"), ("unknown", "cut"), ("in_flight", "flying")] {
      let shown = try Self.run(stage, ["show"] + Self.names(key))
      #expect(shown.status == 0 && shown.output.contains("\n\(state) "), "\(shown)")
    }
    let shown = try Self.run(stage, ["show"] + Self.names("order 1"))
    #expect(shown.output.contains(stored["X-Request-Id"] ?? "-") && shown.output.contains(" 201 "))
    #expect(try Self.run(stage, ["show"] + Self.names("cut")).output.contains(cut["X-Request-Id"] ?? "-"))
    #expect(!all.output.contains("of-core") && !shown.output.contains("of-core"))
    let free = try Self.run(stage, ["show"] + Self.names("never-used"))
    #expect(free.status == 1 && free.errors.contains("it is free"), "\(free)")
    #expect(try Self.run(stage, ["list", "--client", "other"]).output.isEmpty)
    #expect(try Self.run(stage, ["list", "--only", "odd"]).errors.contains("state must be all or one of"))
    #expect(try Self.run(stage, ["show", "--client", "app"]).status == 2)
  }

  @Test func `an unknown outcome is resolved as done, or as not done once it is old enough, and audited`() throws {
    let (stage, root) = try Self.stage()
    defer { withExtendedLifetime(root) {} }
    stage.answers { _ in .reset([]) }
    for key in ["a", "b"] { #expect(try stage.write(key).status == 502) }
    stage.answers("201 Created")
    let reason = ["--reason", "Core's list has it"]
    let early = try Self.run(stage, ["resolve"] + Self.names("a") + ["--as", "not-done"] + reason)
    #expect(early.status == 1 && early.errors.contains("may still be executed"), "\(early)")
    let done = try Self.run(stage, ["resolve"] + Self.names("b") + ["--as", "done", "--status", "201"] + reason)
    #expect(done.status == 0 && done.errors.contains("resolved"), "\(done)")
    for _ in 0..<2 {
      let repeated = try stage.write("b")
      #expect(repeated.verdict == "409 GATEWAY_IDEMPOTENCY_RESPONSE_NOT_KEPT" && repeated.bodyText.contains("201"))
      #expect(try stage.write("a").verdict == "409 GATEWAY_OUTCOME_UNKNOWN")
      try stage.restart(killing: true)
    }
    let again = try Self.run(stage, ["resolve"] + Self.names("b") + ["--as", "done"] + reason)
    #expect(again.status == 1 && again.errors.contains("is known"), "\(again)")
    #expect(stage.executions == 2)
    for arguments in [
      ["--as", "maybe"] + reason, ["--as", "done"], ["--as", "not-done", "--status", "200"] + reason,
    ] {
      #expect(try Self.run(stage, ["resolve"] + Self.names("a") + arguments).status == 2, "\(arguments)")
    }
    #expect(stage.gateway.stop() == 0)
    let commands = try AuditRecords(stage.folder.statePath).entries.filter { $0["kind"] as? String == "command" }
    #expect(commands.count == 1 && commands[0]["command"] as? String == "idempotency resolve", "\(commands)")
    #expect(commands[0]["key"] as? String == "b" && commands[0]["reason"] as? String == "Core's list has it")
    #expect(commands[0]["as"] as? String == "done" && commands[0]["user"] as? String == NSUserName())
    #expect(try AuditRecords.findings(stage.folder.statePath).isEmpty)
  }

  /// A key does not say on which route it was used.
  @Test func `an unknown outcome is old enough only after the longest time of any route`() throws {
    let route: [String: any Sendable] = ["scope": "proxy:write", "operation": "write", "total_s": 900]
    let (stage, root) = try Self.stage(routes: ["/proxy/balances": ["POST": route]])
    defer { withExtendedLifetime(root) {} }
    stage.answers { _ in .reset([]) }
    #expect(try stage.write("a").status == 502)
    for command in [["resolve"] + Self.names("a") + ["--as", "not-done"], ["forget"] + Self.names("a")] {
      let early = try Self.run(stage, command + ["--reason", "r"])
      #expect(early.status == 1 && early.errors.contains("wait until it is 960 s old"), "\(early)")
    }
    #expect(try stage.write("a").verdict == "409 GATEWAY_OUTCOME_UNKNOWN")
  }

  @Test func `forgotten keys are executed again, and others are not`() throws {
    let (stage, root) = try Self.stage()
    defer { withExtendedLifetime(root) {} }
    let two = "/proxy/balances?instance_id=two"
    for key in ["a", "b"] { #expect(try stage.write(key).verdict == "201") }
    #expect(try stage.write("a", target: two).verdict == "201")
    let one = try Self.run(stage, ["forget"] + Self.names("a") + ["--reason", "restored"])
    #expect(one.status == 0 && one.errors.contains("forgot 1 key"), "\(one)")
    #expect(try stage.write("b").verdict == "201 replayed")
    #expect(try stage.write("a").verdict == "201" && stage.executions == 4)
    let all = try Self.run(stage, ["forget", "--instance", "one", "--reason", "restored"])
    #expect(all.status == 0 && all.errors.contains("forgot 2 keys"), "\(all)")
    try stage.restart(killing: true)
    for key in ["a", "b"] { #expect(try stage.write(key).verdict == "201") }
    #expect(try stage.write("a", target: two).verdict == "201 replayed" && stage.executions == 6)
    #expect(try Self.run(stage, ["forget", "--reason", "x"]).status == 2)
  }

  @Test func `a local address without a token takes no changes, and a gateway without a journal says so`() throws {
    let (stage, root) = try Self.stage(["admin": "127.0.0.1:0"])
    defer { withExtendedLifetime(root) {} }
    #expect(stage.gateway.waitUntilSaid("admin endpoint on 127.0.0.1:"))
    let port = try #require(
      stage.gateway.errors.firstMatch(of: /admin endpoint on 127\.0\.0\.1:([0-9]+)/).flatMap { UInt16($0.1) })
    let socket = try TestSocket(port: port)
    try socket.send(
      testRequest(
        "POST", "/idempotency", body: "action=forget&instance=one&reason=x", token: nil, host: "127.0.0.1:\(port)"))
    var reader = TestMessageReader(socket)
    #expect(try reader.next()?.status == 403)
    #expect(try TestMessage.asking(port: port, "/idempotency")?.status == 200)
    #expect(try TestMessage.asking(port: port, "/metrics", method: "POST")?.status == 405)
    let metrics = try #require(try TestMessage.asking(port: port, "/metrics")).bodyText
    #expect(metrics.contains(#"blnk_gateway_idempotency_keys{state="unknown"} 0"#))
    let status = try #require(try TestMessage.asking(port: port, "/status")).bodyText
    #expect(status.contains(#""idempotency":{"#) && status.contains(#""in_flight":0"#))

    let (plain, other) = try Self.stage(["idempotency": NSNull()])
    defer { withExtendedLifetime(other) {} }
    #expect(plain.gateway.waitUntilSaid("admin endpoint on unix:"))
    let none = try Self.run(plain, ["list"])
    #expect(none.status == 1 && none.errors.contains("has no journal"), "\(none)")
  }
}
