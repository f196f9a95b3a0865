import Digests
import Foundation
import OAuth
import TestFolders
import TestSupport

/// A gateway with a token endpoint, in its own process, with its Core and its policy folder.
///
/// It believes X-Forwarded-For, so that failed authentications of one test step do not count for the next.
final class TokenStage {
  static let issuer = "https://gateway.example"
  static let callback = "https://app.example/callback?from=gateway"
  /// Has characters that must be form-encoded, even in HTTP Basic.
  static let secret = "s:e+c r%e&t=\u{fc}"
  static let otherSecret = "secret-of-the-other-client"
  static let firstKey = (name: "first", secret: "signing-key-one-signing-key-one-signing-key-one")
  static let secondKey = (name: "second", secret: "signing-key-two-signing-key-two-signing-key-two")
  /// Two gateways on one host, with different variables, would need two environments: both keys are in both.
  private static let environment = ["FIRST_KEY": firstKey.secret, "SECOND_KEY": secondKey.secret]
  static let firstKeyEntry: [String: any Sendable] = ["id": firstKey.name, "env": "FIRST_KEY"]
  static let secondKeyEntry: [String: any Sendable] = ["id": secondKey.name, "env": "SECOND_KEY"]

  let core: ScriptedUpstream
  let folder: TestPolicyFolder
  /// The shared folder of revocations; nil: the gateway has none.
  let revocations: String?
  private(set) var gateway: GatewayProcess
  private var settings: [String: any Sendable] = [:]

  /// - Parameters:
  ///   - revocations: the folder that gateways share; nil: none.
  ///   - settings: members of gateway.json.
  ///   - client: members of the client `app`.
  ///   - wrapper: a command that executes the program, with its arguments; not after a restart.
  init(
    revocations: String? = nil, loops: Int = 1, oauth: [String: any Sendable] = [:],
    settings: [String: any Sendable] = [:], client: [String: any Sendable] = [:], wrapper: [String] = []
  ) throws {
    core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    self.revocations = revocations
    self.settings = Self.settings(revocations, oauth).merging(settings) { $1 }
    folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:\(core.port)")], loops: loops, gateway: self.settings)
    try Self.write(Self.clients(client), to: folder, "clients.json")
    gateway = try GatewayProcess(folder, environment: Self.environment, wrapper: wrapper)
    // A code must be more than 10 s younger than the gateway's start: see `Code.age`.
    if revocations == nil { Thread.sleep(forTimeInterval: 1.1) }
  }

  private static func settings(_ revocations: String?, _ oauth: [String: any Sendable]) -> [String: any Sendable] {
    var endpoint: [String: any Sendable] = ["issuer": issuer, "keys": [firstKeyEntry]]
    if let revocations { endpoint["revocations"] = revocations }
    let listener: [String: any Sendable] = ["address": "127.0.0.1:0", "trusts": "forwarded"]
    return [
      "listen": listener, "trusted_proxies": ["127.0.0.1"], "admin": "127.0.0.1:0",
      "audit_log": "audit.log", "audit_key": ["env": "TEST_KEY"], "oauth": endpoint.merging(oauth) { $1 },
    ]
  }

  private static func secretEntry(_ secret: String, expires: String? = nil) -> [String: any Sendable] {
    let entry: [String: any Sendable] = ["sha256": SHA256.digest(of: Array(secret.utf8).span).hex]
    return expires.map { entry.merging(["expires": $0]) { $1 } } ?? entry
  }

  private static func client(_ scopes: [String], _ secrets: [[String: any Sendable]]) -> [String: any Sendable] {
    let oauth: [String: any Sendable] = ["secrets": secrets, "redirect_uris": [callback]]
    return ["name": "test", "scopes": scopes, "instances": ["one"], "oauth": oauth]
  }

  private static func clients(_ app: [String: any Sendable]) -> [String: any Sendable] {
    let usual = [secretEntry(secret)]
    let filesOnly: [String: any Sendable] = [
      "name": "test", "scopes": ["proxy:read"], "instances": ["one"],
      "tokens": [TestPolicyFolder.entry(of: TestPolicyFolder.readToken)],
    ]
    let clients: [String: any Sendable] = [
      "app": client(["proxy:read", "proxy:write"], usual).merging(app) { $1 },
      "other": client(["proxy:read"], [secretEntry(otherSecret)]),
      "expired": client(["proxy:read"], [secretEntry(secret, expires: "2020-01-01T00:00:00Z")]),
      "revoked": client(["proxy:read"], usual).merging(["revoked": true]) { $1 },
      "elsewhere": client(["proxy:read"], usual).merging(["networks": ["203.0.113.0/24"]]) { $1 },
      "files-only": filesOnly,
    ]
    return ["clients": clients]
  }

  /// The members of clients.json as JSON, by name.
  static func clientEntries() throws -> [String: String] {
    guard let all = clients([:])["clients"] as? [String: any Sendable] else { return [:] }
    return try all.mapValues { String(decoding: try JSONSerialization.data(withJSONObject: $0), as: UTF8.self) }
  }

  private static func write(_ value: [String: any Sendable], to folder: TestPolicyFolder, _ name: String) throws {
    try JSONSerialization.data(withJSONObject: value).write(to: URL(filePath: folder.path + "/" + name))
  }

  // MARK: The process

  /// Restarts it on the same folders.
  func restart(killing: Bool = false) throws {
    if killing {
      gateway.signal(SIGKILL)
      _ = gateway.waitForEnd()
    } else {
      gateway.stop()
    }
    gateway = try GatewayProcess(folder, environment: Self.environment)
  }

  private var generation = 1

  /// Changes members of the client `app`, the `oauth` of gateway.json and revoked.json, and waits until they are in force.
  func reload(
    client: [String: any Sendable] = [:], oauth: [String: any Sendable] = [:], revoked: [String: any Sendable]? = nil
  ) throws {
    try change(client: client, oauth: oauth, revoked: revoked)
    generation += 1
    guard gateway.waitUntilSaid("generation \(generation) in force") else { throw NotInForce() }
  }

  /// As `reload`, without waiting.
  func change(
    client: [String: any Sendable] = [:], oauth: [String: any Sendable] = [:], revoked: [String: any Sendable]? = nil
  ) throws {
    if !client.isEmpty { try Self.write(Self.clients(client), to: folder, "clients.json") }
    let endpoint = settings["oauth"] as? [String: any Sendable] ?? [:]
    try folder.writeSettings(changes: ["oauth": endpoint.merging(oauth) { $1 }])
    if let revoked { try Self.write(["revoked": revoked], to: folder, "revoked.json") }
    gateway.signal(SIGHUP)
  }

  struct NotInForce: Error {}

  // MARK: Requests

  /// HTTP Basic as RFC 6749 §2.3.1 wants it.
  static func basic(_ client: String = "app", _ secret: String = secret) -> String {
    let pair = formEncoded(client) + ":" + formEncoded(secret)
    return "Authorization: Basic " + Data(pair.utf8).base64EncodedString()
  }

  static func form(_ parameters: [(String, String)]) -> String {
    parameters.map { "\(formEncoded($0.0))=\(formEncoded($0.1))" }.joined(separator: "&")
  }

  /// Encodes everything but unreserved characters, and a space as `+`.
  private static func formEncoded(_ text: String) -> String {
    text.utf8.map { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
        String(UnicodeScalar(byte))
      case UInt8(ascii: " "): "+"
      default: "%" + String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
      }
    }.joined()
  }

  static let formType = "Content-Type: application/x-www-form-urlencoded"

  /// The bytes of a POST with a form.
  ///
  /// - Parameter address: where the front says that the client is.
  static func request(
    _ path: String, _ form: String, fields: [String] = [basic()], type: String? = formType,
    from address: String? = nil
  ) -> String {
    var all = fields
    if let type { all.append(type) }
    if let address { all.append("X-Forwarded-For: \(address)") }
    return testRequest("POST", path, fields: all, body: form, token: nil)
  }

  /// One request on a new connection.
  func post(
    _ path: String, _ parameters: [(String, String)], fields: [String] = [basic()],
    from address: String? = nil
  ) throws -> TestMessage {
    try ask(
      Self.request(path, Self.form(parameters), fields: fields + ["Connection: close"], from: address))
  }

  /// One request to the token endpoint on a new connection.
  func post(
    _ parameters: [(String, String)], fields: [String] = [basic()], from address: String? = nil
  ) throws -> TestMessage {
    try post("/oauth/token", parameters, fields: fields, from: address)
  }

  /// One request, as it is, on a new connection.
  func ask(_ bytes: String, hasBody: Bool = true) throws -> TestMessage {
    let socket = try TestSocket(port: gateway.port)
    try socket.send(bytes)
    var reader = TestMessageReader(socket)
    guard let answer = try reader.next(hasBody: hasBody) else { throw NoAnswer() }
    return answer
  }

  struct NoAnswer: Error {}

  /// A request to Core with a token; the status and, if it is the gateway's own answer, its code.
  func use(_ token: String, _ method: String = "GET") throws -> (status: Int, code: String?) {
    let answer = try ask(
      testRequest(
        method, "/proxy/balances?instance_id=one", fields: ["Connection: close"], body: method == "GET" ? nil : "{}",
        token: token))
    return (answer.status, answer.member("code"))
  }

  /// Tokens of the client-credentials grant.
  func token(scope: String? = nil) throws -> String {
    let scope = scope.map { [("scope", $0)] } ?? []
    let answer = try post([("grant_type", "client_credentials")] + scope)
    guard answer.status == 200, let token = answer.member("access_token") else { throw NoAnswer() }
    return token
  }

  /// Revokes a token; the response.
  func revoke(_ token: String, fields: [String] = [basic()]) throws -> TestMessage {
    try post("/oauth/revoke", [("token", token)], fields: fields)
  }

  /// The entries of kind "grant" in its audit log.
  func auditedGrants() throws -> [[String: any Sendable]] {
    try AuditRecords(folder.statePath).entries.filter { $0["kind"] as? String == "grant" }
  }

  // MARK: Codes

  /// An authorization code, as an operator makes it.
  struct Code {
    static let verifier = String(repeating: "v", count: 43)

    var client = "app"
    var scope = "proxy:read proxy:write"
    var redirectURI = callback
    var verifier: String? = Self.verifier
    /// In seconds. Gateways accept codes that are 10 s ahead of their clocks, and without a folder of revocations no others
    /// soon after their start.
    var age: Int64 = -10
    var lifetimeSeconds = 60
    var kind = SignedTokenKind.code
    var key = firstKey
    var issuer = TokenStage.issuer
    var audience = TokenStage.issuer

    var text: String {
      let id = TokenID.random()
      let challenge = verifier.map { SHA256.digest(of: Array($0.utf8).span) }
      let binding = CodeBinding(redirectURI: SHA256.digest(of: Array(redirectURI.utf8).span), challenge: challenge)
      let authority = TokenAuthority(
        issuer: issuer, audience: audience, keys: [TokenKey(name: key.name, secret: Array(key.secret.utf8).span)])
      return authority.sign(
        TokenClaims(
          kind: kind, id: id, grant: id, client: client, scope: scope,
          issuedAt: Int64(Date().timeIntervalSince1970) - age, lifetimeSeconds: lifetimeSeconds,
          code: kind == .code ? binding : nil))
    }
  }

  /// The bytes of a request that presents a code.
  static func redemption(of code: String) -> String {
    request(
      "/oauth/token",
      form([
        ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", callback),
        ("code_verifier", Code.verifier),
      ]))
  }

  /// Presents a code.
  func redeem(
    _ code: String, redirectURI: String = callback, verifier: String? = Code.verifier, fields: [String] = [basic()]
  ) throws -> TestMessage {
    let verifier = verifier.map { [("code_verifier", $0)] } ?? []
    return try post(
      [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirectURI)] + verifier, fields: fields)
  }

  func refresh(_ token: String, scope: String? = nil, fields: [String] = [basic()]) throws -> TestMessage {
    let scope = scope.map { [("scope", $0)] } ?? []
    return try post([("grant_type", "refresh_token"), ("refresh_token", token)] + scope, fields: fields)
  }
}

extension TestMessage {
  /// The `error` of RFC 6749 §5.2, with the status.
  var refusal: String { "\(status) \(member("error") ?? "-")" }
}
