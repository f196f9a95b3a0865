import Foundation
import TestFolders
import TestSupport
import Testing

/// The operator's commands for the token endpoint, with a running gateway: `client secret`, `oauth code`, `explain` and
/// `audit grants`.
@Suite(.scopedFixtures, .serialized, .timeLimit(.minutes(10))) struct OAuthCommandTests {
  private static let issuer = "https://gateway.example"
  private static let verifier = String(repeating: "verifier.", count: 6)
  /// The S256 challenge of `verifier`, from `openssl dgst -sha256 -binary | basenc --base64url`.
  private static let challenge = "jw8J6KzDRX_kxn2fJkyyLfJKxY8wc6lXazdqUIHv6jo"
  private let root: TemporaryFolder
  private let core: ScriptedUpstream
  private let folder: TestPolicyFolder
  private let gateway: GatewayProcess
  private let secret: String

  init() throws {
    root = try TemporaryFolder()
    try root.write(String(repeating: "k", count: 40), to: "token.key")
    try root.write("core-key-of-this-test", to: "core.key")
    for name in ["token.key", "core.key"] {
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: root.path(name))
    }
    core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let keys: [[String: String]] = [["id": "2026", "file": root.path("token.key")]]
    let oauth: [String: any Sendable] = [
      "issuer": Self.issuer, "keys": keys, "revocations": root.path("revocations"),
    ]
    folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:\(core.port)")], instance: ["key": ["file": root.path("core.key")]],
      gateway: [
        "admin": "unix:\(root.path("admin.sock"))", "watch": true, "audit_log": "audit.log", "oauth": oauth,
      ])
    gateway = try GatewayProcess(folder)
    #expect(gateway.waitUntilSaid("admin endpoint on unix:"))
    let made = try runCommand(
      ["client", "secret", "new", "--client", "app", "--note", "test", "--policies", folder.path])
    #expect(made.status == 0 && made.errors.contains(#/In force after [0-9]+ ms/#), "\(made)")
    secret = String(made.output.dropLast())
  }

  private func post(_ path: String, _ form: String, secret: String? = nil) throws -> TestMessage {
    let body = "client_id=app&client_secret=\(secret ?? self.secret)&\(form)"
    let socket = try TestSocket(port: gateway.port)
    try socket.send(
      testRequest(
        "POST", path, fields: ["Content-Type: application/x-www-form-urlencoded"], body: body, token: nil))
    var reader = TestMessageReader(socket)
    return try #require(try reader.next())
  }

  private func token(scope: String? = nil) throws -> String {
    let scope = scope.map { "&scope=\($0)" } ?? ""
    let reply = try post("/oauth/token", "grant_type=client_credentials\(scope)")
    return try #require(reply.member("access_token"), "\(reply.bodyText)")
  }

  private func call(_ token: String?, method: String = "GET") throws -> TestMessage {
    let socket = try TestSocket(port: gateway.port)
    let body = method == "GET" ? nil : "{}"
    try socket.send(testRequest(method, "/proxy/balances?instance_id=one", body: body, token: token))
    var reader = TestMessageReader(socket)
    return try #require(try reader.next())
  }

  private func explain(_ token: String, method: String = "GET") throws -> String {
    let outcome = try runCommand(
      [
        "explain", "--token-stdin", "--method", method, "--target", "/proxy/balances?instance_id=one", "--exit-zero",
        "--policies", folder.path, "--state", folder.statePath,
      ], input: token)
    #expect(outcome.status == 0 && !outcome.output.contains(token) && !outcome.errors.contains(token), "\(outcome)")
    return outcome.output
  }

  private func code(_ parameters: String, _ options: [String] = []) throws -> (
    status: Int32, output: String, errors: String
  ) {
    try runCommand(
      [
        "oauth", "code", "--client", "app", "--authorize-url", "\(Self.issuer)/oauth/authorize?\(parameters)",
        "--policies", folder.path, "--state", folder.statePath,
      ] + options)
  }

  /// Gives the client a redirect URI, and further members.
  private func register(_ app: [String: any Sendable] = [:]) throws {
    let oauth: [String: any Sendable] = [
      "secrets": [TestPolicyFolder.entry(of: secret)], "redirect_uris": ["https://app.example/cb?a=1"],
    ]
    try folder.writeClients(app: app.merging(["oauth": oauth]) { first, _ in first })
  }

  @Test func `a new secret gets tokens at once, and a removed one does not`() throws {
    #expect(try call(token()).status == 200)
    let list = try runCommand(["token", "list", "--client", "app", "--policies", folder.path])
    #expect(list.output.contains("\n\nCLIENT  SECRET "), "\(list)")
    let rotated = try runCommand(["client", "secret", "rotate", "--client", "app", "--policies", folder.path])
    #expect(rotated.status == 0 && rotated.errors.contains("In force after"), "\(rotated)")
    let second = String(rotated.output.dropLast())
    for secret in [secret, second] {
      #expect(try post("/oauth/token", "grant_type=client_credentials", secret: secret).status == 200)
    }
    let left = try token()
    let digest = try #require(rotated.errors.firstMatch(of: /These expire: ([0-9a-f]{12}) at/)?.1)
    let removed = try runCommand([
      "client", "secret", "revoke", "--client", "app", "--digest", String(digest), "--policies", folder.path,
    ])
    #expect(removed.status == 0 && removed.errors.contains("In force after"), "\(removed)")
    #expect(try post("/oauth/token", "grant_type=client_credentials").status == 401)
    #expect(try post("/oauth/token", "grant_type=client_credentials", secret: second).status == 200)
    #expect(try call(left).status == 200)
  }

  @Test func `explain names the client, the scopes and the id of a signed token, or why it is refused`() throws {
    let reading = try token(scope: "proxy:read")
    let explained = try explain(reading)
    #expect(
      explained.contains(#/authenticate  ok  client app, token [0-9a-f]{8}… of its app, scope proxy:read, issued at 2/#)
    )
    #expect(explained.contains("\nrelayed: GET /balances "), "\(explained)")
    let keyless = try runCommand(
      [
        "explain", "--token-stdin", "--method", "GET", "--target", "/", "--without-keys", "--policies", folder.path,
      ], input: reading)
    #expect(keyless.status == 2 && keyless.errors.contains("cannot be verified with --without-keys"), "\(keyless)")
    let writing = try explain(reading, method: "POST")
    #expect(writing.contains("authorize     no") && writing.contains("The token lacks \"proxy:write\""), "\(writing)")

    // The last character but one: the last one may have bits that do not count.
    let middle = reading.index(reading.endIndex, offsetBy: -2)
    let forged = reading[..<middle] + (reading[middle] == "A" ? "B" : "A") + reading.suffix(1)
    #expect(try explain(String(forged)).contains("It is forged or damaged"))
    #expect(try call(String(forged)).status == 401)

    // Its key number is in the first characters.
    let number = reading.index(reading.startIndex, offsetBy: 11)
    let other = reading[..<number] + (reading[number] == "A" ? "B" : "A") + reading[number...].dropFirst()
    #expect(try explain(String(other)).contains("another issuer or audience than https://gateway.example"))

    #expect(try post("/oauth/revoke", "token=\(reading)").status == 200)
    let revoked = try explain(reading)
    #expect(revoked.contains("rejected: 401 GATEWAY_TOKEN_REVOKED"), "\(revoked)")
    #expect(revoked.contains("It was revoked at POST /oauth/revoke"), "\(revoked)")

    let all = try token()
    try register(["scopes": ["proxy:read"]])
    let cut = try explain(all)
    #expect(cut.contains("scope proxy:read proxy:write, of which the client no longer has proxy:write"), "\(cut)")
    try register(["tokens_not_before": "2099-01-01T00:00:00Z"])
    let old = try explain(all)
    #expect(old.contains("It is older than clients.app.tokens_not_before (2099-01-01T00:00:00Z)"), "\(old)")
    let id = try #require(old.firstMatch(of: /It is token ([0-9a-f]{24}) of app/)?.1)
    try register()
    try Data(#"{ "revoked": { "token_ids": ["\#(id)"] } }"#.utf8).write(
      to: URL(filePath: folder.path + "/revoked.json"))
    #expect(try explain(all).contains("revoked.json lists its id"))
    #expect(try eventually { try call(all).status == 401 })
  }

  @Test func `oauth code prints a URL whose code gets tokens once`() throws {
    try register()
    let redirect = "redirect_uri=https%3A%2F%2Fapp.example%2Fcb%3Fa%3D1"
    let issued = try code(
      "response_type=code&client_id=app&\(redirect)&state=x%20y&scope=proxy:read&code_challenge=\(Self.challenge)"
        + "&code_challenge_method=S256", ["--json"])
    #expect(issued.status == 0 && !issued.errors.contains("warning"), "\(issued)")
    let report = try #require(
      try JSONSerialization.jsonObject(with: Data(issued.output.utf8)) as? [String: Any])
    let code = try #require(report["code"] as? String)
    #expect(code.hasPrefix("blnk_ac_") && report["scope"] as? String == "proxy:read")
    #expect(
      report["callback"] as? String
        == "https://app.example/cb?a=1&code=\(code)&state=x%20y&iss=https%3A%2F%2Fgateway.example")
    let form = "grant_type=authorization_code&code=\(code)&\(redirect)&code_verifier="
    let wrong = try post("/oauth/token", form + String(repeating: "x", count: 54))
    #expect(wrong.status == 400 && wrong.member("error") == "invalid_grant", "\(wrong.bodyText)")
    let right = try post("/oauth/token", form + Self.verifier)
    #expect(right.status == 200 && right.member("scope") == "proxy:read", "\(right.bodyText)")
    let token = try #require(right.member("access_token"))
    let refresh = try #require(right.member("refresh_token"))
    #expect(try call(token).status == 200)
    #expect(try explain(refresh).contains("It is a refresh token, which is for POST /oauth/token only."))
    #expect(try explain(code).contains("It is an authorization code"))
    #expect(try post("/oauth/token", form + Self.verifier).status == 400)
    #expect(try eventually { try call(token).status == 401 })

    let plain = try self.code("response_type=code&client_id=app&\(redirect)")
    #expect(plain.status == 0 && plain.output.hasPrefix("https://app.example/cb?a=1&code=blnk_ac_"), "\(plain)")
    #expect(plain.errors.contains("warning: the URL has no state"))
    #expect(plain.errors.contains("warning: the URL has no code_challenge"))
    #expect(plain.errors.contains(#"gets the scope "proxy:read proxy:write""#))
  }

  @Test func `each code is in the audit log before it is printed, while the gateway writes there, too`() throws {
    try register()
    let log = folder.statePath + "/audit.log"
    let parameters = "response_type=code&client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2Fcb%3Fa%3D1&state=s"
    func issue() throws -> String {
      let issued = try code(parameters, ["--json"])
      #expect(issued.status == 0, "\(issued)")
      return try #require(issued.output.firstMatch(of: /"code":"([^"]+)"/).map { String($0.1) })
    }
    let first = try issue()
    let redirect = "redirect_uri=https%3A%2F%2Fapp.example%2Fcb%3Fa%3D1"
    #expect(try post("/oauth/token", "grant_type=authorization_code&code=\(first)&\(redirect)").status == 200)
    _ = try issue()
    // A rotation moves the file.
    try FileManager.default.moveItem(atPath: log, toPath: log + ".1")
    let missing = try code(parameters)
    #expect(missing.status == 1 && missing.output.isEmpty, "\(missing)")
    #expect(missing.errors.contains("next to a running gateway"))
    gateway.signal(SIGUSR1)
    #expect(eventually { FileManager.default.fileExists(atPath: log) })
    _ = try issue()
    #expect(gateway.stop() == 0)

    let entries = try ["audit.log.1", "audit.log"].flatMap { name in
      try AuditRecords(folder.statePath, [name]).entries.filter { $0["kind"] as? String == "grant" }
    }
    // The gateway writes its own entries a moment later.
    #expect(entries.filter { $0["event"] as? String == "issued" }.count == 3)
    let granted = try #require(entries.first { $0["event"] as? String == "granted" })
    #expect(entries[0]["grant_id"] as? String == granted["grant_id"] as? String)
    #expect(entries[0]["user"] as? String == NSUserName() && entries[0]["scope"] as? String == "proxy:read proxy:write")
    let grants = try runCommand(["audit", "grants", log + ".1", log])
    let line = try #require(grants.output.split(separator: "\n").first)
    #expect(line.contains("app was issued a code for the grant ") && line.contains(", from the user "), "\(line)")
    #expect(try String(contentsOfFile: log + ".1", encoding: .utf8).contains(first.dropFirst(8)) == false)
    let verified = try runCommand(["audit", "verify", log, log + ".1"])
    #expect(verified.status == 0, "\(verified)")
  }

  @Test func `oauth code refuses a URL that is not the app's, and says why`() throws {
    let good = "response_type=code&client_id=app&redirect_uri=https://app.example/cb?a=1"
    let early = try code(good)
    #expect(early.status == 1 && early.errors.contains("registered: none"), "\(early)")
    try register()
    for (parameters, message) in [
      (
        good.replacing("client_id=app", with: "client_id=reader"),
        #"the URL is from "reader" (client_id), not from "app""#
      ),
      (good + "/", #"redirect_uris does not contain "https://app.example/cb?a=1/" exactly"#),
      (good.replacing("/cb", with: "/CB"), "registered: https://app.example/cb?a=1;"),
      (good + "&scope=proxy:delete", #"the URL asks for the scope "proxy:delete", which clients.app.scopes"#),
      (good + "&code_challenge=\(Self.challenge)&code_challenge_method=plain", "code_challenge_method must be S256."),
      (good + "&code_challenge=abc&code_challenge_method=S256", "code_challenge must be a SHA-256"),
      (good.replacing("=code", with: "=token"), "response_type must be code."),
      ("response_type=code&client_id=app", "redirect_uri is missing."), (good + "&state=a&state=b", "more than once"),
    ] {
      let outcome = try code(parameters)
      #expect(outcome.status == 1 && outcome.output.isEmpty, "\(parameters)")
      #expect(outcome.errors.contains(message), "\(outcome.errors)")
    }
    let reader = try runCommand([
      "oauth", "code", "--client", "reader", "--authorize-url",
      "\(Self.issuer)/?" + good.replacing("=app", with: "=reader"), "--policies", folder.path,
    ])
    #expect(reader.status == 1 && reader.errors.contains(#"clients.reader has no "oauth""#), "\(reader)")
    let none = try runCommand(["oauth", "code", "--client", "app", "--policies", folder.path])
    #expect(none.status == 2 && none.errors.contains("needs --authorize-url URL"))
  }

  @Test func `token revoke takes an access token alone, and a refresh token with all of its grant`() throws {
    func revoke(_ token: String, _ options: String...) throws -> (status: Int32, output: String, errors: String) {
      let outcome = try runCommand(
        ["token", "revoke", "--token-stdin", "--policies", folder.path] + options, input: token)
      #expect(!outcome.errors.contains(token), "\(outcome)")
      return outcome
    }
    let (first, second) = (try token(), try token())
    let other = try revoke(first, "--client", "reader")
    #expect(other.status == 1 && other.errors.contains("the token belongs to app, not reader"), "\(other)")
    #expect(try call(first).status == 200)
    let revoked = try revoke(first)
    #expect(revoked.status == 0 && revoked.errors.contains("In force after"), "\(revoked)")
    #expect(try call(first)["WWW-Authenticate"]?.contains("invalid_token") == true)
    #expect(try call(second).status == 200)
    #expect(try revoke(first).errors.contains("is already revoked"))

    try register()
    let redirect = "redirect_uri=https%3A%2F%2Fapp.example%2Fcb%3Fa%3D1"
    let issued = try code("response_type=code&client_id=app&\(redirect)", ["--json"]).output
    let code = try #require(issued.firstMatch(of: /"code":"([^"]+)"/)?.1)
    let reply = try post("/oauth/token", "grant_type=authorization_code&code=\(code)&\(redirect)")
    let (access, refresh) = (
      try #require(reply.member("access_token")), try #require(reply.member("refresh_token"))
    )
    #expect(try call(access).status == 200)
    let grant = try revoke(refresh)
    #expect(grant.status == 0 && grant.errors.contains("app's grant "), "\(grant)")
    #expect(try call(access).status == 401)
    #expect(try post("/oauth/token", "grant_type=refresh_token&refresh_token=\(refresh)").status == 400)
    #expect(try call(second).status == 200)

    let forged = try revoke(second.dropLast(3) + "AAA")
    #expect(forged.status == 1 && forged.errors.contains("not signed with a key of this policy"), "\(forged)")
  }

  @Test func `the logs name a signed token by its id, and audit grants lists what was granted`() throws {
    let issued = try token()
    #expect(try call(issued, method: "POST").status == 200)
    #expect(try post("/oauth/token", "grant_type=client_credentials", secret: "wrong").status == 401)
    #expect(try post("/oauth/revoke", "token=\(issued)").status == 200)
    #expect(gateway.stop() == 0)
    let log = folder.statePath + "/audit.log"
    let grants = try runCommand(["audit", "grants", log])
    let lines = grants.output.split(separator: "\n")
    try #require(grants.status == 0 && lines.count == 3, "\(grants)")
    let granted = try #require(
      lines[0].firstMatch(
        of:
          /^[^ ]+Z  app got the token ([0-9a-f]{24}) of the grant [0-9a-f]{24} by client_credentials, scope proxy:read proxy:write, from 127\.0\.0\.1, request [0-9a-f]{32}$/
      ), "\(lines[0])")
    let id = String(granted.1)
    #expect(lines[1].contains("  an unknown client was refused: invalid_client, from 127.0.0.1, "), "\(lines[1])")
    #expect(lines[2].contains("  app revoked \(id), from 127.0.0.1, "), "\(lines[2])")
    let own = try runCommand(["audit", "grants", "--client", "app", "--json", log])
    #expect(own.output.split(separator: "\n").count == 2 && own.output.hasPrefix(#"{"writer":""#), "\(own)")
    #expect(own.output.contains(#""token_id":"\#(id)""#))
    let none = try runCommand(["audit", "grants", "--client", "other", log])
    #expect(none.status == 0 && none.output.isEmpty && none.errors.contains("no grant of the client other in "))

    let intent = try #require(try AuditRecords(folder.statePath).intents.first)
    #expect(intent["token_id"] as? String == String(id.prefix(8)) && intent["token_sha256"] == nil)
    let record = try #require(try folder.records().first { $0["method"] as? String == "POST" && $0["route"] != nil })
    #expect(record["token_id"] as? String == String(id.prefix(8)) && record["token_sha256"] == nil, "\(record)")
    #expect(try String(contentsOfFile: folder.accessLogPath, encoding: .utf8).contains("blnk_at_") == false)
    let outcomes = try runCommand(["audit", "verify", log])
    #expect(outcomes.status == 0, "\(outcomes)")
  }

  @Test func `401 tells clients where the metadata is, and that is where it is`() throws {
    let metadata = "\(Self.issuer)/.well-known/oauth-protected-resource"
    #expect(
      try call(nil)["WWW-Authenticate"] == #"Bearer realm="blnk", resource_metadata="\#(metadata)""#)
    #expect(
      try call("wrong")["WWW-Authenticate"]
        == #"Bearer realm="blnk", error="invalid_token", resource_metadata="\#(metadata)""#)
    let reply = try #require(
      try TestMessage.asking(port: gateway.port, "/.well-known/oauth-protected-resource"))
    #expect(reply.status == 200 && reply.member("resource") == Self.issuer, "\(reply.bodyText)")
    try folder.writeSettings(changes: ["oauth": NSNull()])
    #expect(try eventually { try call(nil)["WWW-Authenticate"] == #"Bearer realm="blnk""# })
  }
}
