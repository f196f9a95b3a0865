import Digests
import Synchronization

@testable import OAuth
@testable import Policies

/// A folder whose gateway signs tokens.
struct OAuthFolder {
  static let key = "0123456789abcdef0123456789abcdef"
  static let newKey = "fedcba9876543210fedcba9876543210"

  var issuer = "https://gateway.example"
  var audience: String?
  var keys = [("k1", "KEY_1")]
  var settings = ""
  var aliases = #"{"ledger": ["proxy:read", "proxy:write"]}"#
  /// Members of each client.
  var clients = [
    "acme": #""scopes": ["proxy:read", "proxy:write"], "instances": ["inst_a"], "oauth": \#(oauth("acme secret"))"#,
    "acme2": #""scopes": ["proxy:read"], "instances": ["inst_a"], "oauth": \#(oauth("acme2 secret"))"#,
    "star": #""scopes": ["*"], "instances": ["*"], "oauth": \#(oauth("star secret"))"#,
    "alias": #""scopes": ["ledger"], "instances": ["inst_a"], "oauth": \#(oauth("alias secret"))"#,
    "none": #""scopes": [], "instances": ["inst_a"], "oauth": \#(oauth("none secret"))"#,
    "near": """
    "scopes": ["proxy:read"], "instances": ["inst_a"], "networks": ["192.0.2.0/24"], "oauth": \(oauth("near secret"))
    """,
    "plain": #""scopes": ["*"], "instances": ["*"]"#,
  ]
  var revoked: String?

  static func oauth(_ secret: String, _ more: String = "") -> String {
    #"{"secrets": [{"sha256": "\#(SHA256.digest(of: Array(secret.utf8).span).hex)"\#(more)}]}"#
  }

  var files: FolderFiles {
    let keys = keys.map { #"{"id": "\#($0.0)", "env": "\#($0.1)"}"# }.joined(separator: ", ")
    let audience = audience.map { #", "audience": "\#($0)""# } ?? ""
    let clients = clients.sorted { $0.key < $1.key }.map { "\"\($0.key)\": {\($0.value)}" }.joined(separator: ",\n")
    let instance = #"{"url": "http://127.0.0.1:1", "key": {"env": "DEMO_KEY"}}"#
    var files = FolderFiles([
      "gateway.json":
        #"{"scope_aliases": \#(aliases), "oauth": {"issuer": "\#(issuer)"\#(audience), "keys": [\#(keys)]\#(settings)}}"#,
      "clients.json": #"{"clients": {\#(clients)}}"#, "instances.json": #"{"instances": {"inst_a": \#(instance)}}"#,
      "revoked.json": revoked.map { #"{"revoked": {\#($0)}}"# },
    ])
    files.environment["KEY_1"] = Self.key
    files.environment["KEY_2"] = Self.newKey
    return files
  }

  func policy() throws -> Policy {
    let result = try files.load()
    guard let policy = result.policy else { throw Rejected(findings: result.findings.map(\.description)) }
    return policy
  }

  struct Rejected: Error { let findings: [String] }
}

/// Remembers codes as the gateway does, in memory.
final class SampleMemory: GrantMemory, Sendable {
  private struct State {
    var used: Set<TokenID> = []
    var revoked: Set<TokenID> = []
    var isDown = false
  }
  private let state = Mutex(State())

  func redeem(_ code: TokenID, issuedAt: Int64, expiresAt: Int64) throws(OAuthError) -> Bool {
    let (isDown, isFirst) = state.withLock { state in
      if state.isDown { return (true, false) }
      let isFirst = state.used.insert(code).inserted
      if !isFirst { state.revoked.insert(code) }
      return (false, isFirst)
    }
    if isDown { throw OAuthError(.temporarilyUnavailable, "The memory is down.") }
    return isFirst
  }

  func isRevoked(_ id: TokenID) -> Bool { state.withLock { $0.revoked.contains(id) } }

  func revoke(_ id: TokenID) { state.withLock { _ = $0.revoked.insert(id) } }

  func fail() { state.withLock { $0.isDown = true } }
}

let grantTime = admissionTime.rawValue

extension TokenID {
  static func sample(_ number: UInt64) -> TokenID {
    TokenID(high: number, low: UInt32(number))
  }
}

extension Policy {
  func signed(
    _ kind: SignedTokenKind = .access, client: String = "acme", scope: String = "proxy:read", id: TokenID = .sample(1),
    grant: TokenID = .sample(2), issuedAt: Int64 = grantTime, lifetime: Int = 3_600, code: CodeBinding? = nil
  ) throws -> String {
    guard let authority = settings.oauth?.authority else { throw NoAuthority() }
    return authority.sign(
      TokenClaims(
        kind: kind, id: id, grant: grant, client: client, scope: scope, issuedAt: issuedAt, lifetimeSeconds: lifetime,
        code: code))
  }

  private struct NoAuthority: Error {}
}
