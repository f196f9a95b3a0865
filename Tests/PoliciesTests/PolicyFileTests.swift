import Digests
import Foundation
import TestFolders
import Testing

@testable import Policies

@Suite struct PolicyFileTests {
  @Test func `has defaults for every key of gateway.json`() throws {
    for changes in [[:], ["gateway.json": "{}"], ["gateway.json": #"{"limits": {}, "timeouts": {}}"#]] {
      let settings = try #require(try FolderFiles(changes).load().policy).settings
      #expect(settings.listeners.map(\.address.description) == ["127.0.0.1:8080"])
      #expect(settings.admin?.address.description == "127.0.0.1:9901")
      #expect(settings.accessLog == .standardOutput && settings.auditLog == nil && settings.loops == 0)
      #expect(settings.limits == GatewayLimits() && settings.timeouts == GatewayTimeouts())
      #expect(settings.watchesFolder && !settings.answersHealthOnListeners && settings.trustedProxies.isEmpty)
      #expect(!settings.countsClients)
    }
  }

  @Test func `reads every key of gateway.json`() throws {
    let text = #"""
      { "listen": ["0.0.0.0:80", {"address": "unix:/run/a", "trusts": "proxy_protocol", "mode": "0660", "group": "www-data"}],
        "admin": {"address": "[::1]:9", "token": {"env": "DEMO_KEY"}, "hosts": ["Ops.example", "[2001:db8::1]"]}, "loops": 3, "trusted_proxies": ["10.0.0.0/8"],
        "access_log": "access.log", "audit_log": "/var/audit.log", "audit_key": {"env": "DEMO_KEY"}, "watch": false,
        "health_on_listen": true, "metrics": {"by_client": true},
        "limits": {"request_line_bytes": 1000, "header_bytes": 2000, "header_fields": 3, "body_bytes": 4,
          "body_bytes_per_second_min": 5, "body_bytes_per_second_min_upstream": 9, "connections": 6,
          "connections_per_address": 7, "upstream_connections": 8},
        "timeouts": {"head_s": 0.5, "body_idle_s": 2, "idle_s": 3e1, "drain_s": 0, "drain_delay_s": 1.25,
          "drain_idle_s": 0.75} }
      """#
    let result = try FolderFiles(["gateway.json": text]).load()
    let settings = try #require(result.policy).settings
    #expect(result.findings.isEmpty)
    #expect(settings.listeners.map(\.address.description) == ["0.0.0.0:80", "unix:/run/a"])
    #expect(settings.listeners.map(\.trust) == [.nothing, .proxyProtocol])
    #expect(settings.listeners[1].mode == 0o660 && settings.listeners[1].group == .name("www-data"))
    #expect(settings.admin?.token?.reveal() == Array("hunter2".utf8))
    #expect(settings.admin?.hosts == ["ops.example", "[2001:db8::1]"])
    #expect(settings.loops == 3 && settings.trustedProxies == [Network("10.0.0.0/8")])
    #expect(settings.accessLog == .file(path: "/nonexistent/access.log"))
    #expect(settings.auditLog == .file(path: "/var/audit.log") && settings.auditKey != nil)
    #expect(!settings.watchesFolder && settings.answersHealthOnListeners && settings.countsClients)
    let limits = GatewayLimits(
      requestLineBytesMax: 1000, headerBytesMax: 2000, headerFieldsMax: 3, bodyBytesMax: 4, bodyBytesPerSecondMin: 5,
      bodyBytesPerSecondMinUpstream: 9, connectionsMax: 6, connectionsPerAddressMax: 7, upstreamConnectionsMax: 8,
      statesConnections: true, statesUpstreamConnections: true)
    #expect(settings.limits == limits)
    let timeouts = GatewayTimeouts(
      headMilliseconds: 500, bodyIdleMilliseconds: 2000, idleMilliseconds: 30_000, drainMilliseconds: 0,
      drainDelayMilliseconds: 1250, drainIdleMilliseconds: 750)
    #expect(settings.timeouts == timeouts)
  }

  @Test func `turns off what is null`() throws {
    let text = #"{"admin": null, "access_log": null, "audit_log": null, "audit_key": null}"#
    let settings = try #require(try FolderFiles(["gateway.json": text]).load().policy).settings
    #expect(settings.admin == nil && settings.accessLog == nil && settings.auditLog == nil)
  }

  @Test func `reads every key of instances.json`() throws {
    let text = #"""
      { "instances": { "inst_demo": { "url": "https://core:1/a", "key": [{"env": "DEMO_KEY"}, {"file": "key"}],
        "writes": false, "tls": {"ca_file": "key", "cert_file": "key", "key_file": "key", "server_name": "n"},
        "limits": {"connections": 1, "share": 0.5, "queue": 2, "concurrent": 3},
        "timeouts": {"connect_s": 1, "dns_cache_s": 0.5, "queue_s": 2, "first_byte_s": 3, "between_bytes_s": 4, "total_s": 5, "pool_idle_s": 6,
          "pool_age_s": 7.5}, "health": {"interval_s": 8}, "breaker": {"failures": 9, "open_s": 10, "open_max_s": 11}, "reconcile": true } } }
      """#
    let files = ["instances.json": text, "key": "file key\r\n"]
    let unused = try FolderFiles(files).load()
    #expect(unused.findings.map(\.message) == ["has no effect without \"idempotency\" in gateway.json"])
    let result = try FolderFiles(files.merging(["gateway.json": #"{"idempotency": {}}"#]) { $1 }).load()
    let instance = try #require(result.policy?.instances.first)
    #expect(result.findings.isEmpty && instance.reconciles)
    #expect(instance.keys.map { String(decoding: $0.reveal(), as: UTF8.self) } == ["hunter2", "file key"])
    #expect(!instance.acceptsWrites && instance.url.pathPrefix == "/a" && instance.tls.serverName == "n")
    #expect(instance.tls.caBundle?.path.hasSuffix("/key") == true && instance.tls.certificate == instance.tls.key)
    #expect(instance.limits == InstanceLimits(connectionsMax: 1, share: 0.5, queueMax: 2, concurrentMax: 3))
    let timeouts = InstanceTimeouts(
      connectMilliseconds: 1000, nameCacheMilliseconds: 500, queueMilliseconds: 2000, firstByteMilliseconds: 3000,
      betweenBytesMilliseconds: 4000,
      totalMilliseconds: 5000, poolIdleMilliseconds: 6000, poolAgeMilliseconds: 7500)
    #expect(instance.timeouts == timeouts && instance.health.intervalMilliseconds == 8000)
    let breaker = BreakerSettings(failuresMax: 9, openMilliseconds: 10_000, openMillisecondsMax: 11_000)
    #expect(instance.breaker == breaker)
  }

  @Test func `reads every key of clients.json`() throws {
    let digest = Digest(hex: String(repeating: "ab", count: 32))
    let text = #"""
      { "clients": {
        "a": { "name": "A é", "scopes": ["*"], "instances": ["*"], "default_instance": "inst_second", "revoked": true,
          "tokens": [{"sha256": "\#(String(repeating: "AB", count: 32))", "expires": "2036-01-01T00:00:00Z", "note": "laptop"}],
          "networks": ["10.0.0.0/8"],
          "limits": {"read": {"requests_per_second": 50.5}, "write": {"requests_per_second": 1, "burst": 9}, "concurrent": 32} },
        "b": { "scopes": [], "instances": [], "default_instance": null, "networks": ["::/0", "0.0.0.0/0"],
          "limits": {"requests_per_second": 2, "burst": 3} } } }
      """#
    let policy = try #require(try FolderFiles(["clients.json": text]).load().policy)
    let (a, b) = (policy.clients[0], policy.clients[1])
    #expect(a.name == "A é" && a.scopes == .all && a.instances == .all && a.defaultInstance == 1 && a.isRevoked)
    #expect(a.callers.networks == .only([Network("10.0.0.0/8")!]))
    let rates = (read: RateLimit(requestsPerSecond: 50.5, burst: 51), write: RateLimit(requestsPerSecond: 1, burst: 9))
    #expect(a.limits == ClientLimits(rates: .separate(read: rates.read, write: rates.write), concurrentMax: 32))
    #expect(b.name == "b" && b.scopes == ScopeSet() && b.instances == .only([]) && b.defaultInstance == nil)
    #expect(b.callers.networks == .all && b.limits.rates == .shared(RateLimit(requestsPerSecond: 2, burst: 3)))
    #expect(
      policy.tokens.index(of: try #require(digest)) == 0 && policy.tokens.note(of: 0).elementsEqual("laptop".utf8))
    #expect(policy.tokens.entries[0].expiry?.rawValue == 2_082_758_400)
  }

  @Test(arguments: [
    ("", "the environment variable DEMO_KEY is empty; it must contain the key"),
    ("\n", "the environment variable DEMO_KEY is empty; it must contain the key"),
    ("hunter2\n\n", "contains bytes that a header field cannot carry; a key is one line of printable ASCII"),
    ("hunter2\u{0}", "contains bytes that a header field cannot carry; a key is one line of printable ASCII"),
    ("hunter2é", "contains bytes that a header field cannot carry; a key is one line of printable ASCII"),
    (" hunter2", "starts or ends with a space; remove it"), ("hunter2 \n", "starts or ends with a space; remove it"),
    (String(repeating: "hunter2.", count: 513), "is longer than 4096 bytes"),
  ])
  func `rejects keys that a field cannot carry and does not show them`(key: String, words: String) throws {
    var files = FolderFiles(["instances.json": keyed(#"{"env": "DEMO_KEY"}"#)])
    files.environment["DEMO_KEY"] = key
    let lines = try files.load().findings.map(\.description)
    #expect(lines.count == 1 && lines[0].contains(words) && !lines[0].contains("hunter2"), "\(lines)")
    #expect(lines[0].hasPrefix("policies/instances.json:1: instances.inst_demo.key.env: the environment variable"))
  }

  @Test(arguments: [
    (#""hunter2""#, "never the key itself"), (#"[]"#, "must have 1 to 8 keys"),
    (#"{}"#, #"must have exactly one of "env""#),
    (#"{"env": "A", "file": "b"}"#, #"must have exactly one of "env", "file" and "credential""#),
    (#"{"credential": "a", "file": "b"}"#, #"must have exactly one of "env", "file" and "credential""#),
    (#"{"env": "A", "credential": "b"}"#, #"must have exactly one of "env", "file" and "credential""#),
    (#"{"credential": "../key"}"#, "must be the name of a credential: 1 to 255 of A-Z a-z 0-9 _ - ."),
    (
      #"{"credential": "core-key"}"#,
      "key.credential: $CREDENTIALS_DIRECTORY is not set to an absolute path; start the gateway with "
        + #"LoadCredential=core-key:PATH in its systemd unit, or name a file with {"file": "PATH"}"#
    ),
    (#"{"env": "hunter-2"}"#, "must be the name of"),
    (#"{"env": "UNSET"}"#, "the environment variable UNSET is not set; set it, or name a file"),
    (#"{"file": "none"}"#, "the file policies/none does not exist; write the key into it"),
    (#"{"file": "."}"#, "the file policies/. is not a regular file"), (#"{"env": 1}"#, "must be a string"),
    (#"[{"env": "DEMO_KEY"}, "hunter2"]"#, "inst_demo.key[1]: must be"), (#"{"vault": "x"}"#, "unknown key"),
  ])
  func `rejects key sources that name no key`(source: String, words: String) throws {
    let lines = try FolderFiles(["instances.json": keyed(source)]).load().findings.map(\.description)
    #expect(lines.first?.contains(words) == true && !lines.joined().contains("hunter2"), "\(lines)")
  }

  /// Writes a credential as systemd does, and loads a policy that names it.
  private func load(_ source: String, credential: String?, mode: Int = 0o400) throws -> [String] {
    try withTemporaryFolder { folder in
      if let credential {
        try folder.write(credential, to: "core-key")
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: folder.path("core-key"))
      }
      var files = FolderFiles(["instances.json": keyed(source)])
      files.environment = ["CREDENTIALS_DIRECTORY": folder.path]
      let result = try files.load()
      let keys = result.policy?.instances.first?.keys.map { String(decoding: $0.reveal(), as: UTF8.self) } ?? []
      return keys
        + result.findings.filter { $0.severity != .note }.map {
          $0.description.replacing(folder.path, with: "/credentials")
        }
    }
  }

  @Test func `reads a credential from $CREDENTIALS_DIRECTORY, without one newline at its end`() throws {
    #expect(try load(#"{"credential": "core-key"}"#, credential: "hunter2\n") == ["hunter2"])
    let list = #"[{"credential": "core-key"}, {"credential": "core-key"}]"#
    #expect(try load(list, credential: "hunter2") == ["hunter2", "hunter2"])
  }

  @Test(arguments: [
    (nil, "does not exist; add LoadCredential=core-key:PATH to the gateway's systemd unit and restart it"),
    ("", "is empty; it must contain the key"),
    ("hunter2\n\n", "contains bytes that a header field cannot carry; a key is one line of printable ASCII"),
    (String(repeating: "hunter2.", count: 520), "is longer than 4098 bytes"),
  ])
  func `refuses a credential that is not a key, and does not show it`(credential: String?, words: String) throws {
    let lines = try load(#"{"credential": "core-key"}"#, credential: credential)
    #expect(
      lines.first?.hasSuffix(
        "instances.inst_demo.key.credential: the credential core-key (/credentials/core-key) \(words)") == true,
      "\(lines)")
    #expect(!lines.joined().contains("hunter2"))
  }

  @Test func `warns of a credential that others can read, as of a key file`() throws {
    let lines = try load(#"{"credential": "core-key"}"#, credential: "hunter2", mode: 0o644)
    #expect(lines.last?.contains("core-key (mode 0644) is readable by every user") == true, "\(lines)")
  }

  @Test func `rejects a log inside the policy folder, by whatever name`() throws {
    let findings = try withTemporaryFolder { root in
      let path = root.path("real")
      try root.makeFolder("real")
      try FileManager.default.createSymbolicLink(atPath: root.path("link"), withDestinationPath: path)
      try root.write(#"{"access_log": "../link/access.log"}"#, to: "real/gateway.json")
      let folder = PolicyFolder(path: path, stateFolder: path, environment: [:])
      return Policy.load(folder, now: UnixSeconds(0)).findings
    }
    #expect(
      findings.contains { $0.keyPath == "access_log" && $0.message.hasPrefix("must not be inside the policy folder") })
  }

  @Test func `never shows a key in a dump of the policy`() throws {
    let policy = try #require(try FolderFiles().load().policy)
    var text = ""
    dump(policy, to: &text)
    // The dump has random numbers, too, the seeds of its tables: one byte by itself could be part of those.
    let elements = text.split(separator: "\n").map { $0.trimmingPrefix { $0 == " " } }
    let key = "hunter2".utf8.map { "- \($0)" }
    #expect(!text.contains("hunter2") && !elements.contains(key.map { $0[...] }) && text.contains("inst"))
  }
}

private func keyed(_ source: String) -> String {
  "{\"instances\": {\"inst_demo\": {\"url\": \"http://b\", \"key\": \(source)}}}"
}
