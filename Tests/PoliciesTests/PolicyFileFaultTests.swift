import Foundation
import Testing

@testable import Policies

@Suite struct PolicyFileFaultTests {
  @Test(arguments: [
    ("[]", "policies/gateway.json:1: must be an object, not a list"),
    (#"{"listne": 1}"#, #"policies/gateway.json:1: listne: unknown key (did you mean "listen"?)"#),
    (#"{"listen": 8080}"#, "policies/gateway.json:1: listen: must be a string, not a number"),
    (#"{"listen": ":8080"}"#, "policies/gateway.json:1: listen: " + ListenAddress.rule),
    (
      #"{"listen": "unix:/\#(String(repeating: "x", count: 107))"}"#,
      "policies/gateway.json:1: listen: has a path of 108 bytes; the path of a Unix socket has at most 107"
    ),
    (#"{"listen": []}"#, "policies/gateway.json:1: listen: must have 1 to 16 addresses"),
    (#"{"listen": {"trusts": "forwarded"}}"#, #"policies/gateway.json:1: listen: "address" is missing"#),
    (
      #"{"listen": {"address": "unix:/a", "mode": "0680"}}"#,
      #"policies/gateway.json:1: listen.mode: must be file permissions in octal, such as "0660""#
    ),
    (
      #"{"listen": {"address": "unix:/a", "mode": 660}}"#,
      "policies/gateway.json:1: listen.mode: must be a string, not a number"
    ),
    (
      #"{"listen": {"address": "127.0.0.1:1", "mode": "0660"}}"#,
      "policies/gateway.json:1: listen.mode: applies to Unix sockets only; remove it"
    ),
    (
      #"{"listen": {"address": "127.0.0.1:1", "group": 0}}"#,
      "policies/gateway.json:1: listen.group: applies to Unix sockets only; remove it"
    ),
    (
      #"{"admin": {"address": "[::1]:1", "hosts": ["a:80"]}}"#,
      "policies/gateway.json:1: admin.hosts[0]: must be a host name or an IP address without scheme and port, "
        + #"such as "gateway.internal""#
    ),
    (#"{"listen": ["[::1]:1", "[::1]:1"]}"#, "policies/gateway.json:1: listen[1]: duplicate address"),
    (
      #"{"admin": "0.0.0.0:9901"}"#,
      #"policies/gateway.json:1: admin: 0.0.0.0:9901 is reachable from other machines and needs a token; set "admin" "#
        + #"to {"address": "0.0.0.0:9901", "token": {"file": "PATH"}}, or use a loopback address such as 127.0.0.1"#
    ),
    ("{\n\"admin\": {\"address\": \"x\"}}", "policies/gateway.json:2: admin.address: " + ListenAddress.rule),
    (
      #"{"admin": {"address": "[::1]:1", "token": "abc"}}"#,
      "policies/gateway.json:1: admin.token: must be \(secretSources), never the key itself"
    ),
    (#"{"loops": 257}"#, "policies/gateway.json:1: loops: must be 0 to 256"),
    (
      #"{"loops": 1.0}"#,
      "policies/gateway.json:1: loops: must be a whole number without decimal point and exponent"
    ),
    (#"{"loops": null}"#, "policies/gateway.json:1: loops: must be a whole number, not null"),
    (
      #"{"trusted_proxies": ["10.0.0.1/8"]}"#,
      "policies/gateway.json:1: trusted_proxies[0]: must be a network such as 10.0.0.0/8 or 2001:db8::/32, "
        + "with all bits after the prefix zero"
    ),
    (#"{"trusted_proxies": "10.0.0.0/8"}"#, "policies/gateway.json:1: trusted_proxies: must be a list, not a string"),
    (
      #"{"access_log": ""}"#,
      "policies/gateway.json:1: access_log: must be 1 to 4096 bytes without control characters"
    ),
    (
      #"{"audit_log": "-", "audit_key": {"env": "DEMO_KEY"}}"#,
      "policies/gateway.json:1: audit_log: must be a file path or null"
    ),
    (#"{"watch": "yes"}"#, "policies/gateway.json:1: watch: must be true or false, not a string"),
    (#"{"health_on_listen": 1}"#, "policies/gateway.json:1: health_on_listen: must be true or false, not a number"),
    (
      #"{"limits": {"body_byte": 1}}"#,
      #"policies/gateway.json:1: limits.body_byte: unknown key (did you mean "body_bytes"?)"#
    ),
    (#"{"limits": {"connections": 0}}"#, "policies/gateway.json:1: limits.connections: must be 1 to 1000000"),
    (
      #"{"limits": {"request_line_bytes": 16385}}"#,
      #"policies/gateway.json:1: limits: "request_line_bytes" plus "header_bytes" must be at most 49152"#
    ),
    (#"{"timeouts": {"head_s": 0}}"#, "policies/gateway.json:1: timeouts.head_s: must be 0.01 to 86400"),
    (
      #"{"timeouts": {"head_s": "10"}}"#,
      "policies/gateway.json:1: timeouts.head_s: must be a number of seconds, not a string"
    ),
    (
      #"{"timeouts": {"head_s": 1.0005}}"#,
      "policies/gateway.json:1: timeouts.head_s: must have at most three decimal places"
    ),
    (#"{"timeouts": {"idle_s": -1}}"#, "policies/gateway.json:1: timeouts.idle_s: must be 0.01 to 86400"),
    (#"{"watch": true, "watch": true}"#, "policies/gateway.json:1: watch: repeated key (first on line 1)"),
    ("{,}", #"policies/gateway.json:1: expected a key in double quotes, found "," (column 2)"#),
  ])
  func `names what is wrong in gateway.json`(text: String, finding: String) throws {
    let result = try FolderFiles(["gateway.json": text]).load()
    #expect(result.findings.map(\.description) == [finding])
    #expect(result.policy == nil)
  }

  @Test(arguments: [
    ("{}", #"policies/instances.json:1: "instances" is missing"#),
    ("{\"instances\": []}", "policies/instances.json:1: instances: must be an object, not a list"),
    (instance(""), #"policies/instances.json:1: instances.inst_demo: "url" is missing"#),
    (instance(#""url": "http://a@b""#), "instances.inst_demo.url: must not have a user name or password"),
    (instance(#""url": 1"#), "instances.inst_demo.url: must be a string, not a number"),
    (instance(#""url": "http://b", "keys": 1"#), #"instances.inst_demo.keys: unknown key (did you mean "key"?)"#),
    (instance(#""url": "http://b", "writes": 1"#), "instances.inst_demo.writes: must be true or false, not a number"),
    (
      instance(#""url": "https://b", "tls": {"ca_file": "no.pem"}"#),
      "tls.ca_file: the file policies/no.pem does not exist"
    ),
    (
      instance(#""url": "https://b", "tls": {"cert_file": "gateway.json"}"#),
      #"tls: must have both "cert_file" and "key_file", or neither"#
    ),
    (instance(#""url": "https://b", "tls": {"server_name": ""}"#), "tls.server_name: must be 1 to 256 bytes"),
    (instance(#""url": "http://b", "limits": {"queue": -1}"#), "limits.queue: must be 0 to 1000000"),
    (instance(#""url": "http://b", "limits": {"connections": 0}"#), "limits.connections: must be 1 to 100000"),
    (
      instance(#""url": "http://b", "limits": {"share": 0}"#),
      "limits.share: must be more than 0 and at most 1, such as 0.25"
    ),
    (instance(#""url": "http://b", "limits": {"share": 1.01}"#), "limits.share: must be more than 0 and at most 1"),
    (instance(#""url": "http://b", "limits": {"share": "0.5"}"#), "limits.share: must be a number, not a string"),
    (instance(#""url": "http://b", "limits": {"shares": 1}"#), #"unknown key (did you mean "share"?)"#),
    (instance(#""url": "http://b", "limits": {"concurrent": true}"#), "limits.concurrent: must be a whole number"),
    (instance(#""url": "http://b", "timeouts": {"total_s": 86401}"#), "timeouts.total_s: must be 0.01 to 86400"),
    (instance(#""url": "http://b", "timeouts": {"conect_s": 1}"#), #"unknown key (did you mean "connect_s"?)"#),
    (instance(#""url": "http://b", "health": {"interval_s": -1}"#), "health.interval_s: must be 0 to 86400"),
    (instance(#""url": "http://b", "breaker": {"failures": -1}"#), "breaker.failures: must be 0 to 1000000"),
    (instance(#""url": "http://b", "breaker": {"open_s": 61}"#), #"breaker: "open_max_s" must be at least "open_s""#),
    (
      #"{"instances": {"inst_demo": {"url": "http://b", "key": {"env": "DEMO_KEY"}}, "a b": {"url": "http://b", "key": {"env": "DEMO_KEY"}}}}"#,
      "instances.a b: an instance name must be 1 to 64 characters of"
    ),
  ])
  func `names what is wrong in instances.json`(text: String, words: String) throws {
    let result = try FolderFiles(["instances.json": text, "gateway.json": "{}"]).load()
    let lines = result.findings.map(\.description)
    #expect(lines.count == 1 && lines[0].contains(words), "\(lines)")
    // What is wrong with one instance concerns it alone.
    #expect(result.findings.first?.severity == .error)
    #expect((result.policy == nil) == (result.findings.first?.keyPath.hasPrefix("instances.") == false))
  }

  @Test(arguments: [
    ("{}", #"policies/clients.json:1: "clients" is missing"#),
    (client("\n\"scope\": []"), #"policies/clients.json:2: clients.demo.scope: unknown key (did you mean "scopes"?)"#),
    (#"{"clients": {"demo": {"instances": []}}}"#, #"clients.demo: "scopes" is missing"#),
    (#"{"clients": {"demo": {"scopes": []}}}"#, #"clients.demo: "instances" is missing"#),
    (#"{"clients": {"de mo": {"scopes": [], "instances": []}}}"#, "clients.de mo: a client name must be"),
    (
      #"{"clients": {"demo": {"scopes": ["a b"], "instances": []}}}"#,
      "clients.demo.scopes[0]: must be 1 to 128 printable"
    ),
    (#"{"clients": {"demo": {"scopes": ["*", "a"], "instances": []}}}"#, "clients.demo.scopes: \"*\" means all"),
    (
      #"{"clients": {"demo": {"scopes": [], "instances": ["inst_dmo"]}}}"#,
      #"clients.demo.instances[0]: there is no such instance (did you mean "inst_demo"?)"#
    ),
    (
      #"{"clients": {"demo": {"scopes": [], "instances": ["*", "*"]}}}"#, "clients.demo.instances: \"*\" means all"
    ),
    (client(#""name": """#), "clients.demo.name: must be 1 to 256 bytes"),
    (client(#""default_instance": "inst_second""#), #"default_instance: must be one of the client's "instances""#),
    (client(#""default_instance": "x""#), "default_instance: there is no such instance"),
    (client(#""revoked": "no""#), "clients.demo.revoked: must be true or false, not a string"),
    (client(#""networks": []"#), "clients.demo.networks: an empty list allows no address"),
    (client(#""networks": ["10.0.0.0/40"]"#), "clients.demo.networks[0]: must be a network such as"),
    (
      client(#""networks": ["::ffff:10.0.0.0/104"]"#),
      "clients.demo.networks[0]: is an IPv4-mapped network; write 10.0.0.0/8"
    ),
    (
      client(#""networks": ["::ffff:10.1.2.3/104"]"#),
      "clients.demo.networks[0]: is an IPv4-mapped network; write 10.0.0.0/8"
    ),
    (
      client(#""networks": ["::ffff:10.0.0.1"]"#), "clients.demo.networks[0]: is an IPv4-mapped network; write 10.0.0.1"
    ),
    (
      client(#""networks": ["::ffff:a00:0/8"]"#),
      "clients.demo.networks[0]: is an IPv4-mapped network; write it as an IPv4 network such as 10.0.0.0/8"
    ),
    (client(#""tokens": {}"#), "clients.demo.tokens: must be a list, not an object"),
    (client(#""tokens": [{}]"#), #"clients.demo.tokens[0]: "sha256" is missing"#),
    (client(#""tokens": [{"sha256": "secret"}]"#), "tokens[0].sha256: must be the 64 hex digits"),
    (
      client(#""tokens": [{"sha256": "\#(zeros)", "expires": "2027-01-01"}]"#),
      "tokens[0].expires: must be an RFC 3339 time"
    ),
    (client(#""tokens": [{"sha256": "\#(zeros)", "expiry": 1}]"#), #"(did you mean "expires"?)"#),
    (client(#""tokens": [{"sha256": "\#(zeros)", "note": "a\u0007"}]"#), "tokens[0].note: must be 1 to 256 bytes"),
    (
      client(#""tokens": [{"sha256": "\#(zeros)"}, {"sha256": "\#(zeros)"}]"#),
      "clients.demo.tokens[1].sha256: is the same token as clients.demo.tokens[0]"
    ),
    (client(#""limits": {"requests_per_second": 0}"#), "limits.requests_per_second: must be 0.001 to 1000000"),
    (client(#""limits": {"burst": 5}"#), #"limits: "requests_per_second" is missing"#),
    (client(#""limits": {"read": {"burst": 5}}"#), #"limits.read: "requests_per_second" is missing"#),
    (client(#""limits": {"read": {"requests_per_second": 1, "burst": 0}}"#), "limits.read.burst: must be 1 to 1000000"),
    (client(#""limits": {"requests_per_second": 1, "write": {"requests_per_second": 1}}"#), "limits: must have either"),
    (client(#""limits": {"concurent": 5}"#), #"(did you mean "concurrent"?)"#),
  ])
  func `names what is wrong in clients.json`(text: String, words: String) throws {
    let result = try FolderFiles(["clients.json": text]).load()
    let lines = result.findings.map(\.description)
    #expect(lines.count == 1 && lines[0].contains(words), "\(lines)")
    #expect(result.policy == nil)
  }

  @Test(arguments: [
    ("{}", #"policies/routes.json:1: "routes" is missing"#),
    (#"{"routes": {"/balances": {}}}"#, "routes./balances: must be /proxy followed by"),
    (#"{"routes": {"/proxy": {}}}"#, "routes./proxy: must be /proxy followed by"),
    (#"{"routes": {"/proxy/a/": {}}}"#, "must be /proxy followed by"),
    (#"{"routes": {"/proxy/a//b": {}}}"#, "must be /proxy followed by"),
    (#"{"routes": {"/proxy/a/../b": {}}}"#, "must be /proxy followed by"),
    (#"{"routes": {"/proxy/a%20": {}}}"#, "must be /proxy followed by"),
    (#"{"routes": {"/proxy/:": {}}}"#, "must be /proxy followed by"),
    (#"{"routes": {"/proxy/a": {}}}"#, "routes./proxy/a: must have at least one method"),
    (
      #"{"routes": {"/proxy/a": {"HEAD": {}, "GET": {"scope": "s", "operation": "o"}}}}"#,
      "routes./proxy/a.HEAD: unknown key"
    ),
    (#"{"routes": {"/proxy/a": {"get": {"scope": "s", "operation": "o"}}}}"#, "unknown key"),
    (#"{"routes": {"/proxy/a": {"GET": {"scope": "s"}}}}"#, #"routes./proxy/a.GET: "operation" is missing"#),
    (#"{"routes": {"/proxy/a": {"GET": {"operation": "s"}}}}"#, #"routes./proxy/a.GET: "scope" is missing"#),
    (#"{"routes": {"/proxy/a": {"GET": {"scope": "*", "operation": "s"}}}}"#, "GET.scope: must be 1 to 128"),
    (#"{"routes": {"/proxy/a": {"GET": {"scope": "s", "operation": "a-b"}}}}"#, "GET.operation: must be 1 to 64"),
    (
      #"{"routes": {"/proxy/a": {"GET": {"scope": "s", "operation": "a", "body_bytes": -1}}}}"#,
      "GET.body_bytes: must be 0 to"
    ),
    (
      #"{"routes": {"/proxy/:a/x": {"GET": {"scope": "s", "operation": "o"}}, "/proxy/:b/x": {"GET": {"scope": "s", "operation": "o"}}}}"#,
      "routes./proxy/:b/x: matches the same paths as /proxy/:a/x"
    ),
  ])
  func `names what is wrong in routes.json`(text: String, words: String) throws {
    let result = try FolderFiles(["routes.json": text]).load()
    let lines = result.findings.filter { $0.severity == .error }.map(\.description)
    #expect(lines.count == 1 && lines[0].contains(words), "\(lines)")
    #expect(result.policy == nil)
  }

  @Test func `rejects more scopes than a bitset holds`() throws {
    let paths = (0..<65).map { #""/proxy/p\#($0)": {"GET": {"scope": "s\#($0)", "operation": "o"}}"# }
    let result = try FolderFiles(["routes.json": "{\"routes\": {\(paths.joined(separator: ","))}}"]).load()
    #expect(result.findings.map(\.description) == ["policies/routes.json:1: routes: has more than 64 scopes"])
  }

  @Test func `names missing files and folders with the remedy`() throws {
    let result = try FolderFiles(["instances.json": nil, "clients.json": nil]).load()
    #expect(
      result.findings.map(\.description) == [
        #"policies/instances.json: does not exist; create it with {"instances": {…}}"#,
        #"policies/clients.json: does not exist; create it with {"clients": {…}}"#,
      ])
    let none = Policy.load(PolicyFolder(path: "/nonexistent/", environment: [:]), now: UnixSeconds(0))
    #expect(
      none.findings.map(\.description) == [
        "/nonexistent: no such folder; name one with --policies DIR or $BLNK_GATEWAY_POLICIES"
      ])
  }

  @Test func `keeps a finding on one line`() throws {
    let result = try FolderFiles(["gateway.json": #"{"a\nb\u001b[1m": 1}"#]).load()
    #expect(result.findings.map(\.description) == [#"policies/gateway.json:1: a\nb\u{1B}[1m: unknown key"#])
  }

  @Test func `collects the findings of all files`() throws {
    let result = try FolderFiles([
      "gateway.json": #"{"lop": 1, "loops": -1}"#, "instances.json": instance(#""url": "x""#), "clients.json": "{",
    ]).load()
    #expect(result.findings.count == 4)
  }

  @Test func `warns of or notes what may be intended, and continues`() throws {
    let text = client(
      #""scopes": ["proxy:raed"], "tokens": [{"sha256": "\#(zeros)", "expires": "2020-01-01T00:00:00Z"}]"#, scopes: "")
    let result = try FolderFiles([
      "clients.json": text, "gateway.json": #"{"audit_log": "/tmp/audit"}"#,
      "instances.json": FolderFiles.instances.replacing(
        "\"http://127.0.0.1:5001\",", with: "\"http://127.0.0.1:5001\", \"tls\": {\"server_name\": \"x\"},"),
    ]).load()
    #expect(
      result.findings.map(\.description) == [
        "policies/gateway.json:1: warning: audit_log: without \"audit_key\", the hash chain detects accidental damage "
          + "but not forgery",
        "policies/instances.json:2: warning: instances.inst_demo.tls: has no effect on an http:// URL",
        "policies/clients.json:1: warning: clients.demo.scopes[0]: no route requires this scope (did you mean \"proxy:read\"?)",
        "policies/clients.json:1: note: clients.demo.tokens[0].expires: the token has expired",
      ])
    #expect(result.policy != nil)
  }
}

private let zeros = String(repeating: "0", count: 64)

private func instance(_ members: String) -> String {
  let rest = members.isEmpty ? "" : ", \(members)"
  return "{\"instances\": {\"inst_demo\": {\"key\": {\"env\": \"DEMO_KEY\"}\(rest)}}}"
}

private func client(_ members: String, scopes: String = "\"scopes\": [],") -> String {
  "{\"clients\": {\"demo\": {\(scopes) \"instances\": [\"inst_demo\"], \(members)}}}"
}

private let secretSources = #"{"env": "NAME"}, {"file": "PATH"} or {"credential": "NAME"}"#
