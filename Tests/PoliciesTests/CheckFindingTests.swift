import Foundation
import HTTP1
import TestValues
import Testing

@testable import Policies

/// What `check` warns of, and what it only notes.
@Suite struct CheckFindingTests {
  @Test(arguments: [
    (0o600, []), (0o400, []), (0o640, []), (0o644, ["every user"]), (0o620, ["writable by others"]),
    (0o666, ["every user", "writable by others"]),
  ])
  func `warns of key files that others can read or write`(mode: Int, words: [String]) throws {
    let files = FolderFiles([
      "core.key": "secret\n",
      "instances.json": #"{"instances": {"inst_demo": {"url": "http://b", "key": {"file": "core.key"}}}}"#,
    ])
    try files.withFolder { folder in
      try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: folder.path + "/core.key")
      let result = Policy.load(folder, now: UnixSeconds(0))
      #expect(result.policy != nil && result.findings.count == words.count)
      for (finding, words) in zip(result.findings, words) {
        #expect(finding.severity == .warning && finding.message.contains(words))
        #expect(finding.keyPath == "instances.inst_demo.key.file" && finding.line == 1)
      }
    }
  }

  @Test(arguments: [
    ("http://10.1.2.3", nil), ("http://172.31.0.1", nil), ("http://127.0.0.1:5001", nil), ("http://[fd00::1]", nil),
    ("http://core", nil), ("http://core.blnk.svc", nil), ("http://core.svc.cluster.local", nil),
    ("http://core.internal", nil), ("https://8.8.8.8", nil), ("https://core.example", nil),
    ("http://8.8.8.8", Finding.Severity.warning), ("http://172.32.0.1", .warning), ("http://[2001:db8::1]", .warning),
    ("http://core.example.com", .note), ("http://notinternal", nil), ("http://a.notinternal", .note),
  ])
  func `warns of plain http to a public address, and notes a name that may be one`(
    url: String, severity: Finding.Severity?
  ) throws {
    let text = #"{"instances": {"inst_demo": {"url": "\#(url)", "key": {"env": "DEMO_KEY"}}}}"#
    let findings = try FolderFiles(["instances.json": text]).load().findings
    #expect(findings.map(\.severity) == (severity.map { [$0] } ?? []))
    #expect(findings.allSatisfy { $0.keyPath == "instances.inst_demo.url" })
  }

  @Test func `notes what is granted whole`() throws {
    let result = try FolderFiles(["clients.json": #"{"clients": {"a": {"scopes": ["*"], "instances": ["*"]}}}"#]).load()
    #expect(result.policy != nil)
    #expect(
      result.findings.map(\.description) == [
        "policies/clients.json:1: note: clients.a.scopes: grants all scopes, including those of routes added later",
        "policies/clients.json:1: note: clients.a.instances: grants all instances, including those added later",
      ])
  }

  @Test(arguments: [
    ("/proxy/:a/x", "/proxy/y/:b", true), ("/proxy/y/:b", "/proxy/:a/x", true),
    ("/proxy/:a/x/c", "/proxy/y/:b/c", true),
    ("/proxy/y/x", "/proxy/y/:b", false), ("/proxy/:a/x/c", "/proxy/y/:b/d", false),
    ("/proxy/:a", "/proxy/y/:b", false),
  ])
  func `warns where two patterns ask for different scopes on one path`(
    first: String, second: String, isDisputed: Bool
  ) throws {
    func findings(_ scope: String, _ method: String = "GET") throws -> [Finding] {
      let routes = """
        {"routes": {"\(first)": {"GET": {"scope": "proxy:read", "operation": "a"}},
          "\(second)": {"\(method)": {"scope": "\(scope)", "operation": "b"}}}}
        """
      return try FolderFiles(["routes.json": routes]).load().findings
    }
    let found = try findings("proxy:write")
    #expect(found.count == (isDisputed ? 1 : 0))
    if let finding = found.first {
      #expect(
        finding.severity == .warning && finding.keyPath == "routes./proxy/:a/x\(first.hasSuffix("c") ? "/c" : "")")
      #expect(finding.message.hasPrefix("GET /proxy/y/x") && finding.message.contains("/proxy/y/:b"))
    }
    #expect(try findings("proxy:read").isEmpty)
    #expect(try findings("proxy:write", "POST").isEmpty)
  }

  @Test(arguments: [(2, 1, true), (1, 1, false)])
  func `warns of a route whose answer may take longer than the whole`(first: Int, total: Int, isWarned: Bool) throws {
    let route = #"{"scope": "proxy:read", "operation": "a", "first_byte_s": \#(first), "total_s": \#(total)}"#
    let findings = try FolderFiles(["routes.json": "{\"routes\": {\"/proxy/a\": {\"GET\": \(route)}}}"]).load().findings
    #expect(findings.map(\.keyPath) == (isWarned ? ["routes./proxy/a.GET.first_byte_s"] : []))
    #expect(findings.allSatisfy { $0.severity == .warning && $0.message.contains(#"raise "total_s""#) })
  }

  @Test(arguments: [
    (#""[::]:8080""#, [8080]), (#"["[::]:1", "0.0.0.0:2"]"#, [1]), (#"["[::]:1", "0.0.0.0:1"]"#, []),
    (#""[::1]:8080""#, []), (#""0.0.0.0:8080""#, []), (#"{"address": "[::]:3"}"#, [3]),
  ])
  func `notes a listener that takes IPv6 only`(listen: String, ports: [Int]) throws {
    let result = try FolderFiles(["gateway.json": #"{"listen": \#(listen)}"#]).load()
    #expect(result.policy != nil)
    #expect(
      result.findings.map(\.description)
        == ports.map { port in
          "policies/gateway.json:1: note: listen: [::]:\(port) accepts IPv6 only; to accept IPv4, too, write "
            + #"["0.0.0.0:\#(port)", "[::]:\#(port)"]"#
        })
  }

  /// 4,096 paths of five methods each, of which each of the first half conflicts with each of the other half.
  @Test func `reports millions of conflicts in seconds and a few lines`() throws {
    func methods(_ scope: String) -> String {
      let route = #"{"scope": "\#(scope)", "operation": "o"}"#
      return ["GET", "POST", "PUT", "PATCH", "DELETE"].map { "\"\($0)\": \(route)" }.joined(separator: ", ")
    }
    let paths = (0..<2048).flatMap { index in
      [
        #""/proxy/:a/x\#(index)": {\#(methods("proxy:read"))}"#,
        #""/proxy/y\#(index)/:b": {\#(methods("proxy:write"))}"#,
      ]
    }
    let files = FolderFiles(["routes.json": "{\"routes\": {\n\(paths.joined(separator: ",\n"))}}"])
    let clock = ContinuousClock()
    var findings: [Finding] = []
    let time = try clock.measure { findings = try files.load().findings }
    // A second or less, and many times that on a busy machine; each pair with each takes more than a minute.
    #expect(time < .seconds(20))
    #expect(findings.count == 21)
    let told = findings.prefix(20).map { $0.message.prefix { $0 != "," } }
    #expect(told.first == "GET /proxy/y0/x0 matches both this pattern and /proxy/y0/:b" && Set(told).count == 20)
    #expect(findings.last?.keyPath == "routes")
    #expect(findings.last?.message.hasPrefix("\(2048 * 2048 - 20) more pairs") == true)
    #expect(findings.lines.count == 5)
  }

  @Test func `ends its search for conflicts where patterns have too many shapes`() throws {
    // Each pattern has its own shape, and half of the scopes differ: nothing can be merged.
    let patterns = (1...4095).map { shape in
      (0..<12).map { shape & 1 << $0 == 0 ? "/:p" : "/l" }.joined()
    }
    let routes = patterns.enumerated().map { index, pattern in
      #""/proxy\#(pattern)": {"GET": {"scope": "s:\#(index % 60)", "operation": "o"}}"#
    }
    let files = FolderFiles([
      "routes.json": "{\"routes\": {\(routes.joined(separator: ",\n"))}}",
      "clients.json": #"{"clients": {}}"#,
    ])
    var findings: [Finding] = []
    let time = try ContinuousClock().measure { findings = try files.load().findings }
    #expect(time < .seconds(60))
    #expect(findings.last?.message.hasPrefix("at least ") == true && findings.count == 21)
  }

  @Test(arguments: [5, 17_192_424_101_570_052_774, UInt64.random(in: .min ... .max)])
  func `finds the conflicts that a look at each pair finds`(seed: UInt64) throws {
    var random = SeededGenerator(state: seed)
    for _ in 0..<200 {
      let texts = Set(
        (0..<12).map { _ in
          "/proxy"
            + (0..<Int.random(in: 2...3, using: &random)).map { _ in
              ["/a", "/b", "/:x"].randomElement(using: &random)!
            }.joined()
        }
      ).sorted()
      let patterns = texts.compactMap(RoutePattern.init).map { pattern in
        [
          RouteDefinition(
            pattern: pattern, method: .get, scope: Bool.random(using: &random) ? .read : .write, operation: "o")
        ]
      }
      var search = RouteConflictSearch(patterns, reportedMax: 3)
      search.run()
      var expected: [RouteConflictSearch.Pair] = []
      for second in patterns.indices {
        for first in 0..<second where conflict(patterns[first][0], patterns[second][0]) {
          expected.append(RouteConflictSearch.Pair(first: first, second: second))
        }
      }
      #expect(search.isComplete && search.count == expected.count, "seed \(seed): \(texts)")
      #expect(search.first == Array(expected.prefix(3)), "seed \(seed): \(texts)")
    }
  }

  private func conflict(_ left: RouteDefinition, _ right: RouteDefinition) -> Bool {
    let pairs = Array(zip(left.pattern.segments, right.pattern.segments))
    let isSame = left.pattern.segments.count == right.pattern.segments.count
    return isSame && left.scope != right.scope
      && pairs.allSatisfy { $0.0 == $0.1 || $0.0 == .parameter || $0.1 == .parameter }
      && pairs.contains { $0.0 == .parameter && $0.1 != .parameter }
      && pairs.contains { $0.0 != .parameter && $0.1 == .parameter }
  }

  @Test func `warns of a route that the paths of instances hide`() throws {
    let routes = #"{"routes": {"/proxy/instances/:id": {"GET": {"scope": "proxy:read", "operation": "a"}}}}"#
    let findings = try FolderFiles(["routes.json": routes]).load().findings
    #expect(findings.map(\.severity) == [.warning] && findings[0].message.hasPrefix("is reachable under /proxy only"))
  }
}
