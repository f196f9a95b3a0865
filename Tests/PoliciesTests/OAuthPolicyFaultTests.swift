import Foundation
import OAuth
import Testing

@testable import Policies

@Suite struct OAuthPolicyFaultTests {
  private static let digest = String(repeating: "ab", count: 32)

  /// The findings of a folder, errors and warnings.
  private func findings(gateway: String, clients: String = FolderFiles.clients, revoked: String? = nil) throws
    -> [String]
  {
    var files = FolderFiles(["gateway.json": gateway, "clients.json": clients, "revoked.json": revoked])
    files.environment["KEY"] = OAuthFolder.key
    files.environment["SHORT"] = String(repeating: "x", count: 31)
    return try files.load().findings.filter { $0.severity != .note }.map(\.description)
  }

  private static func oauth(_ members: String) -> String { #"{"oauth": \#(members)}"# }
  private static let keys = #""keys": [{"id": "k1", "env": "KEY"}]"#
  private static let issuer = #""issuer": "https://gateway.example""#

  @Test(arguments: [
    ("[]", "oauth: must be an object, not a list"),
    ("{\(keys)}", #"oauth: "issuer" is missing"#),
    ("{\(issuer)}", #"oauth: "keys" is missing"#),
    (#"{\#(issuer), \#(keys), "isuer": 1}"#, #"oauth.isuer: unknown key (did you mean "issuer"?)"#),
    (#"{"issuer": 1, \#(keys)}"#, "oauth.issuer: must be a string, not a number"),
    (
      #"{"issuer": "http://gateway.example", \#(keys)}"#,
      "oauth.issuer: must start with https:// (RFC 8414 §2), even if a TLS front forwards to this gateway as http"
    ),
    (
      #"{"issuer": "https://gateway.example/", \#(keys)}"#,
      "oauth.issuer: must have at most 1024 characters and no slash at its end"
    ),
    (#"{\#(issuer), "audience": "", \#(keys)}"#, "oauth.audience: must be 1 to 1024 bytes without control characters"),
    (#"{\#(issuer), "audience": null, \#(keys)}"#, "oauth.audience: must be a string, not null"),
    (#"{\#(issuer), "keys": {}}"#, "oauth.keys: must be a list, not an object"),
    (#"{\#(issuer), "keys": []}"#, "oauth.keys: must have 1 to 8 keys"),
    (
      #"{\#(issuer), "keys": [\#(Array(repeating: "{}", count: 9).joined(separator: ","))]}"#,
      "oauth.keys: must have 1 to 8 keys"
    ),
    (#"{\#(issuer), "keys": ["k"]}"#, "oauth.keys[0]: must be an object, not a string"),
    (#"{\#(issuer), "keys": [{"env": "KEY"}]}"#, #"oauth.keys[0]: "id" is missing"#),
    (
      #"{\#(issuer), "keys": [{"id": "", "env": "KEY"}]}"#,
      "oauth.keys[0].id: must be 1 to 64 bytes without control characters"
    ),
    (
      #"{\#(issuer), "keys": [{"id": "k1"}]}"#,
      #"oauth.keys[0]: must have exactly one of "env", "file" and "credential""#
    ),
    (
      #"{\#(issuer), "keys": [{"id": "k1", "env": "NONE"}]}"#,
      #"oauth.keys[0].env: the environment variable NONE is not set; set it, or name a file with {"file": "PATH"}"#
    ),
    (
      #"{\#(issuer), "keys": [{"id": "k1", "env": "SHORT"}]}"#,
      "oauth.keys[0]: the key has 31 characters and needs at least 32; make one with `openssl rand -hex 32`"
    ),
    (
      #"{\#(issuer), "keys": [{"id": "k1", "env": "KEY"}, {"id": "k1", "env": "KEY"}]}"#,
      "oauth.keys[1]: the ids of keys must be different"
    ),
    (#"{\#(issuer), \#(keys), "access_token_s": 59}"#, "oauth.access_token_s: must be 60 to 86400"),
    (#"{\#(issuer), \#(keys), "access_token_s": 86401}"#, "oauth.access_token_s: must be 60 to 86400"),
    (#"{\#(issuer), \#(keys), "refresh_token_s": 3599}"#, "oauth.refresh_token_s: must be 3600 to 31536000"),
    (
      #"{\#(issuer), \#(keys), "refresh_token_s": 99999999999999999999}"#,
      "oauth.refresh_token_s: must be a whole number without decimal point and exponent"
    ),
    (
      #"{\#(issuer), \#(keys), "revocations": ""}"#,
      "oauth.revocations: must be 1 to 4096 bytes without control characters"
    ),
  ])
  func `names the file and the key of a fault in the gateway's oauth`(members: String, expected: String) throws {
    #expect(try findings(gateway: Self.oauth(members)).contains("policies/gateway.json:1: \(expected)"))
  }

  @Test func `a folder is within another one only by whole names`() {
    for path in ["/a/policies", "/a/policies/", "/a/policies/x", "/a/x/../policies/y"] {
      #expect(isWithin(path, "/a/policies"), "\(path)")
    }
    for path in ["/a/policies2", "/a/policies-x/y", "/a/policie", "/a", "/", "/b/policies", "/a/policies/../x"] {
      #expect(!isWithin(path, "/a/policies"), "\(path)")
    }
    #expect(isWithin("/a", "/") && isWithin("/", "/"))
  }

  @Test func `takes every valid setting`() throws {
    var folder = OAuthFolder()
    folder.settings = #", "access_token_s": 86400, "refresh_token_s": 31536000, "revocations": "../revocations""#
    folder.audience = "x"
    let settings = try #require(try folder.policy().settings.oauth)
    #expect(settings.accessTokenSeconds == 86_400 && settings.refreshTokenSeconds == 31_536_000)
    #expect(settings.issuer == "https://gateway.example" && settings.audience == "x")
    let folderPath = try #require(settings.revocationsFolder)
    #expect(folderPath.hasSuffix("/revocations") && folderPath.hasPrefix("/"))
    folder = OAuthFolder()
    folder.settings = #", "revocations": null"#
    folder.issuer = "https://gateway.example/tenant"
    let second = try #require(try folder.policy().settings.oauth)
    #expect(second.accessTokenSeconds == 3_600 && second.refreshTokenSeconds == 2_592_000)
    #expect(second.audience == "https://gateway.example/tenant" && second.revocationsFolder == nil)
    #expect(try findings(gateway: #"{"oauth": null}"#).isEmpty)
  }

  @Test(
    arguments: [
      ("[]", ": must be an object, not a list"), ("{}", #": "secrets" is missing"#),
      (#"{"secrets": {}}"#, ".secrets: must be a list, not an object"),
      (#"{"secret": [], "secrets": []}"#, #".secret: unknown key (did you mean "secrets"?)"#),
      (#"{"secrets": [{}]}"#, #".secrets[0]: "sha256" is missing"#),
      (
        #"{"secrets": [{"sha256": "acme secret"}]}"#,
        ".secrets[0].sha256: must be the 64 hex digits of the secret's SHA-256, as `blnk-gateway client secret new` writes them"
      ),
      (
        #"{"secrets": [{"sha256": "\#(digest)", "expires": "tomorrow"}]}"#,
        ".secrets[0].expires: must be an RFC 3339 time such as 2027-01-01T00:00:00Z"
      ),
      (
        #"{"secrets": [{"sha256": "\#(digest)"}, {"sha256": "\#(digest.uppercased())"}]}"#,
        #": two "secrets" are the same"#
      ),
      (
        #"{"secrets": [\#(Array(repeating: "{}", count: 17).joined(separator: ","))]}"#,
        ": must have at most 16 secrets"
      ),
      (
        #"{"secrets": [], "redirect_uris": [\#((0..<17).map { "\"https://a/\($0)\"" }.joined(separator: ","))]}"#,
        #": must have at most 16 "redirect_uris""#
      ),
    ]
      + [
        "", "/cb", "https:", "//app.example/cb", "https://app.example/cb#x", "https://app.example/ü",
        "https://app.example/a b",
        "1https://app.example/cb", "+x:y", "-x:y", ".x:y", ":x", "https ://x",
        "https://a/\(String(repeating: "x", count: 2_040))",
      ].map { uri in
        (
          #"{"secrets": [], "redirect_uris": ["\#(uri)"]}"#,
          ".redirect_uris[0]: must be an absolute URI of at most 2048 characters without a fragment (RFC 6749 §3.1.2)"
        )
      })
  func `names the file and the key of a fault in a client's oauth`(members: String, expected: String) throws {
    let clients =
      #"{"clients": {"demo": {"scopes": ["proxy:read"], "instances": ["inst_demo"], "oauth": \#(members)}}}"#
    let found = try findings(gateway: Self.oauth("{\(Self.issuer), \(Self.keys)}"), clients: clients)
    #expect(found.contains("policies/clients.json:1: clients.demo.oauth\(expected)"), "\(found)")
  }

  @Test func `takes redirect URIs of every scheme`() throws {
    let uris = ["https://app.example/cb?x=1", "http://127.0.0.1:8080/cb", "com.example.app:/cb", "a+b-c.1:x"]
    var folder = OAuthFolder()
    let list = uris.map { "\"\($0)\"" }.joined(separator: ", ")
    folder.clients["acme"] =
      #""scopes": ["*"], "instances": ["*"], "oauth": {"secrets": [], "redirect_uris": [\#(list)]}"#
    let policy = try folder.policy()
    let index = try #require(policy.oauthClientIndex("acme"))
    #expect(policy.clients.oauth(of: Int(index))?.redirectURIs == uris)
  }

  @Test(arguments: [
    (#""scopes": 1"#, "clients.demo.scopes: must be a list, not a number"),
    (#""scopes": [1]"#, "clients.demo.scopes[0]: must be a string, not a number"),
    (
      #""scopes": ["proxy:read"], "tokens_not_before": 1"#,
      "clients.demo.tokens_not_before: must be a string, not a number"
    ),
    (
      #""scopes": ["proxy:read"], "tokens_not_before": "2027-02-30T00:00:00Z""#,
      "clients.demo.tokens_not_before: must be an RFC 3339 time such as 2027-01-01T00:00:00Z"
    ),
  ])
  func `reports a fault of a client once`(members: String, expected: String) throws {
    let clients = #"{"clients": {"demo": {\#(members), "instances": ["inst_demo"], "oauth": {"secrets": []}}}}"#
    let found = try findings(gateway: Self.oauth("{\(Self.issuer), \(Self.keys)}"), clients: clients)
    #expect(found == ["policies/clients.json:1: \(expected)"])
  }

  @Test(arguments: [
    (#"{"a": []}"#, "scope_aliases.a: must have at least one scope"),
    ("[]", "scope_aliases: must be an object, not a list"),
    (#"{"a": "proxy:read"}"#, "scope_aliases.a: must be a list, not a string"),
    (#"{"*": ["proxy:read"]}"#, "scope_aliases.*: an alias \(scopeRule)"),
    (#"{"a b": ["proxy:read"]}"#, "scope_aliases.a b: an alias \(scopeRule)"),
    (#"{"a": ["*"]}"#, "scope_aliases.a[0]: \(scopeRule)"),
    (#"{"a": ["a"]}"#, "scope_aliases.a[0]: is an alias itself; name the scopes of routes"),
    (#"{"a": ["b"], "b": ["a"]}"#, "scope_aliases.a[0]: is an alias itself; name the scopes of routes"),
    (
      "{" + (0..<65).map { #""a\#($0)": ["proxy:read"]"# }.joined(separator: ",") + "}",
      "scope_aliases: must have at most 64 aliases"
    ),
  ])
  func `names the file and the key of a fault in an alias`(aliases: String, expected: String) throws {
    let found = try findings(gateway: #"{"scope_aliases": \#(aliases)}"#)
    #expect(
      found.contains {
        $0.hasPrefix("policies/gateway.json:1: scope_aliases")
          && $0.hasSuffix(expected.split(separator: ": ").dropFirst().joined(separator: ": "))
      }, "\(found)")
  }

  @Test func `an alias may have the name of a route's scope, and then allows both`() throws {
    var folder = OAuthFolder()
    folder.aliases = #"{"proxy:write": ["proxy:read"], "ledger": ["proxy:read"]}"#
    let policy = try folder.policy()
    let bits = { (list: String) in policy.scopes.set(ofList: Array(list.utf8).span).bits }
    #expect(bits("proxy:write") == bits("proxy:read proxy:write") && bits("proxy:read") != bits("proxy:write"))
    #expect(bits("ledger") == bits("proxy:read"))
  }

  @Test(
    arguments: [
      ("", 0), (" ", 0), ("  ", 0), ("*", UInt64.max), ("x *", UInt64.max), ("** *x x*", 0), ("*\u{0}", 0),
      (" proxy:read ", 1), ("proxy:read\tproxy:write", 0), ("PROXY:READ", 0), ("proxy:read,proxy:write", 0),
      ("ledger proxy:read", 3), ("proxy:read proxy:read", 1), ("\u{e9} proxy:read", 1),
    ] as [(String, UInt64)])
  func `a list of scopes allows what its known names allow`(list: String, expected: UInt64) throws {
    let scopes = ScopeDirectory(
      scopes: [.read, .write],
      aliases: [
        ScopeAlias(name: try #require(Scope("ledger")), scopes: [.read, .write])
      ])
    #expect(scopes.set(ofList: Array(list.utf8).span).bits == expected)
  }

  @Test func `token ids in revoked.json are 24 hex digits`() throws {
    for (text, isValid) in [
      (#""000102030405060708090a0b""#, true), (#""000102030405060708090A0B""#, false), (#""""#, false), ("1", false),
      (#""000102030405060708090a0""#, false), (#""blnk_at_x""#, false),
    ] {
      let found = try findings(gateway: "{}", revoked: #"{"revoked": {"token_ids": [\#(text)]}}"#)
      #expect(found.isEmpty == isValid, "\(text)")
      #expect(found.allSatisfy { $0.hasPrefix("policies/revoked.json:1: revoked.token_ids[0]: must be ") })
    }
  }

  @Test func `keys never appear in findings, descriptions or dumps`() throws {
    let policy = try OAuthFolder().policy()
    var text = ""
    dump(policy.settings.oauth, to: &text)
    #expect(!text.contains(OAuthFolder.key) && !String(describing: policy.settings).contains(OAuthFolder.key))
    for line in try findings(gateway: Self.oauth(#"{\#(Self.issuer), "keys": [{"id": "k1", "env": "SHORT"}]}"#)) {
      #expect(!line.contains("xxxx"))
    }
  }
}
