import Digests
import HTTP1
import TestValues
import Testing

@testable import Policies

/// What a comparison of two policies says, and what their admission decides.
@Suite struct PolicyDiffTests {
  private static let core = #""key": {"env": "DEMO_KEY"}"#

  private func policy(
    _ clients: String, instances: [String] = ["inst_a"], gateway: String = "{}", routes: String? = nil,
    revoked: String? = nil
  ) throws -> Policy {
    let entries = instances.map { name in
      let writes = name.hasSuffix("_off") ? #", "writes": false"# : ""
      let id = name.hasSuffix("_off") ? String(name.dropLast(4)) : name
      return #""\#(id)": {"url": "http://127.0.0.1:1", \#(Self.core)\#(writes)}"#
    }
    let files = FolderFiles([
      "clients.json": #"{"clients": {\#(clients)}}"#, "gateway.json": gateway, "routes.json": routes,
      "instances.json": #"{"instances": {\#(entries.joined(separator: ", "))}}"#,
      "revoked.json": revoked.map { #"{"revoked": {\#($0)}}"# },
    ])
    let result = try files.load()
    return try #require(result.policy, "\(result.findings)")
  }

  private func entry(_ token: String, _ more: String = "") -> String {
    #"{"sha256": "\#(SHA256.digest(of: Array(token.utf8).span).hex)"\#(more)}"#
  }

  private func diff(_ old: Policy, _ new: Policy) -> PolicyDiff { PolicyDiff(from: old, to: new, at: admissionTime) }

  /// `client gains GET /proxy/balances on inst_a`, one for each route.
  private func sentences(_ diff: PolicyDiff) -> Set<String> {
    var sentences: Set<String> = []
    for change in diff.access {
      for part in change.parts {
        for (verb, cells) in [("gains", part.gained), ("loses", part.lost)] {
          for cell in cells.map({ diff.cells[Int($0)] }) {
            for (subject, instance) in change.subjects.flatMap({ s in part.instances.map { (s.client, $0) } }) {
              sentences.insert("\(subject) \(verb) \(cell.method) \(cell.pattern) on \(diff.instances[Int(instance)])")
            }
          }
        }
      }
    }
    return sentences
  }

  // MARK: Properties

  /// A random folder of few names, so that two have much in common.
  private struct RandomFolder {
    var generator: SeededGenerator

    static let tokens = (0..<6).map { "token\($0)" }
    static let instances = (0..<3).map { "i\($0)" }
    private static let scopes = ["s0", "s1", "s2"]

    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &generator) < percent }

    private mutating func some(_ texts: [String], _ percent: Int) -> [String] { texts.filter { _ in chance(percent) } }

    private func list(_ texts: [String]) -> String { "[\(texts.map { "\"\($0)\"" }.joined(separator: ", "))]" }

    mutating func policy() throws -> Policy? {
      var routes: [String: String] = [:]
      for _ in 0..<Int.random(in: 1...6, using: &generator) {
        let path = (0..<Int.random(in: 1...3, using: &generator)).map { _ in
          ["a", "b", ":p"].randomElement(using: &generator) ?? ""
        }
        let methods = some(["GET", "POST", "PUT"], 50).map { method in
          let scope = (Self.scopes + ["proxy:read", "proxy:write"]).randomElement(using: &generator) ?? ""
          return #""\#(method)": {"scope": "\#(scope)", "operation": "o"}"#
        }
        if !methods.isEmpty { routes["/proxy/" + path.joined(separator: "/")] = "{\(methods.joined(separator: ", "))}" }
      }
      let instances = some(Self.instances, 80).map { name in
        #""\#(name)": {"url": "http://127.0.0.1:1", "key": {"env": "DEMO_KEY"}, "writes": \#(!chance(25))}"#
      }
      let names = Self.instances.filter { name in instances.contains { $0.hasPrefix("\"\(name)\"") } }
      var left = Self.tokens
      let clients = ["c0", "c1", "c2"].compactMap { client -> String? in
        guard !chance(20) else { return nil }
        let own = chance(30) ? ["*"] : some(names, 70)
        let tokens = some(left, 40)
        left.removeAll { tokens.contains($0) }
        let entries = tokens.map { token in
          let digest = SHA256.digest(of: Array(token.utf8).span).hex
          let usable = own == ["*"] ? names : own
          let bound = chance(40) ? some(usable, 50) : []
          let binding = bound.isEmpty ? "" : #", "instances": \#(list(bound))"#
          let time = [
            "", #", "expires": "2027-01-15T07:59:00Z""#, #", "expires": "2027-01-15T08:05:00Z""#,
            #", "expires": "2027-01-15T08:10:00Z""#,
          ].randomElement(using: &generator)
          return #"{"sha256": "\#(digest)"\#(binding)\#(time ?? "")}"#
        }
        let scopes = chance(20) ? ["*"] : some(Self.scopes + ["proxy:read", "proxy:write", "alias"], 50)
        return #""\#(client)": {"scopes": \#(list(scopes)), "instances": \#(list(own)), "revoked": \#(chance(10)), "#
          + #""tokens": [\#(entries.joined(separator: ", "))]}"#
      }
      let table = routes.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", ")
      let revoked = some(Self.tokens, 10).map { "\"\(SHA256.digest(of: Array($0.utf8).span).hex)\"" }
      let aliased = list(some(Self.scopes, 60))
      let files = FolderFiles([
        "routes.json": #"{"routes": {\#(table)}}"#,
        "instances.json": #"{"instances": {\#(instances.joined(separator: ", "))}}"#,
        "clients.json": #"{"clients": {\#(clients.joined(separator: ", "))}}"#,
        "gateway.json": #"{"scope_aliases": {"alias": \#(aliased)}}"#,
        "revoked.json":
          #"{"revoked": {"tokens": [\#(revoked.joined(separator: ", "))], "#
          + #""clients": \#(list(some(["c0", "c1"], 10)))}}"#,
      ])
      return try files.load().policy
    }
  }

  private static let paths: [[String]] = {
    let one = ["a", "b", "z"].map { [$0] }
    let two = one.flatMap { path in one.map { path + $0 } }
    return one + two + two.flatMap { path in one.map { path + $0 } }
  }()

  private func admits(_ policy: Policy, _ request: Request, at now: UnixSeconds) throws -> Bool {
    let parser = try request.parsed()
    var caches = TokenCaches()
    var trace = AdmissionTrace()
    do throws(Rejection) {
      _ = try policy.admit(parser.head, request.bytes.span, from: Caller(near), at: now, &caches, noting: &trace)
      return true
    } catch {
      return false
    }
  }

  private func routeNumber(_ policy: Policy, _ method: Method, _ path: String) -> Int32 {
    let bytes = Array(path.utf8)
    guard let match = policy.routes.match(bytes.span, corePath: 0..<bytes.count) else { return -1 }
    return (try? policy.routes.route(method, at: match)) ?? -1
  }

  /// For each token: what it claims of a cell and an instance.
  private struct Claim: Hashable {
    let digest: String
    let cell: Int32
    let instance: String
  }

  @Test(arguments: 0..<10) func `claims exactly the gains and losses that admission decides`(seed: UInt64) throws {
    var folder = RandomFolder(generator: SeededGenerator(state: seed))
    guard let old = try folder.policy(), let new = try folder.policy() else { return }
    let diff = diff(old, new)
    var (gained, lost) = (Set<Claim>(), Set<Claim>())
    for change in diff.access {
      for credential in change.subjects.flatMap(\.credentials) {
        let digest = String(credential.split(separator: "token ").last?.prefix(12) ?? "")
        for part in change.parts {
          for instance in part.instances.map({ diff.instances[Int($0)] }) {
            for cell in part.gained { gained.insert(Claim(digest: digest, cell: cell, instance: instance)) }
            for cell in part.lost { lost.insert(Claim(digest: digest, cell: cell, instance: instance)) }
          }
        }
      }
    }
    var (really, reallyLost) = (Set<Claim>(), Set<Claim>())
    var gainsLater = false
    for token in RandomFolder.tokens {
      for path in Self.paths.map({ "/" + $0.joined(separator: "/") }) {
        for method in [Method.get, .head, .post, .put] {
          let numbers = (routeNumber(old, method, path), routeNumber(new, method, path))
          let cell = diff.cells.firstIndex { ($0.oldRoute, $0.newRoute) == numbers }
          if numbers != (-1, -1) { #expect(cell != nil, "\(method) \(path)") }
          for instance in RandomFolder.instances {
            let request = Request(
              "\(method.text.description) /proxy\(path)?instance_id=\(instance)", ["Authorization: Bearer \(token)"])
            let (was, now) = (
              try admits(old, request, at: admissionTime), try admits(new, request, at: admissionTime)
            )
            let later = UnixSeconds(admissionTime.rawValue + 450)
            if !was, !now, try !admits(old, request, at: later), try admits(new, request, at: later) {
              gainsLater = true
            }
            if now, try admits(new, request, at: later), try !admits(old, request, at: later) { gainsLater = true }
            guard was != now, let cell else { continue }
            let claim = Claim(
              digest: String(SHA256.digest(of: Array(token.utf8).span).hex.prefix(12)), cell: Int32(cell),
              instance: instance)
            if now { really.insert(claim) } else { reallyLost.insert(claim) }
          }
        }
      }
    }
    #expect(
      gained == really, "claimed and not real: \(gained.subtracting(really)), missed: \(really.subtracting(gained))")
    #expect(lost == reallyLost)
    #expect(diff.givesAccess == (!really.isEmpty || !diff.wider.isEmpty))
    if gainsLater { #expect(diff.givesAccess) }
  }

  @Test func `the random folders are valid, differ, and both gain and lose`() throws {
    var counts = (pairs: 0, gains: 0, losses: 0, wider: 0)
    for seed in 0..<40 as Range<UInt64> {
      var folder = RandomFolder(generator: SeededGenerator(state: seed))
      guard let old = try folder.policy(), let new = try folder.policy() else { continue }
      let diff = diff(old, new)
      counts.pairs += 1
      if diff.access.contains(where: \.isGain) { counts.gains += 1 }
      if diff.access.contains(where: \.isLoss) { counts.losses += 1 }
      if !diff.wider.isEmpty { counts.wider += 1 }
      #expect(
        !self.diff(old, old).givesAccess && self.diff(new, new).access.isEmpty && self.diff(old, old).tokens.isEmpty)
    }
    #expect(counts.pairs > 30 && counts.gains > 15 && counts.losses > 15 && counts.wider > 2, "\(counts)")
  }

  // MARK: Examples

  @Test func `a path that one pattern leaves to another one is compared on its own`() throws {
    let client = #""app": {"scopes": ["two"], "instances": ["inst_a"], "tokens": [\#(entry("t"))]}"#
    let second = #""/proxy/:y/b": {"GET": {"scope": "two", "operation": "y"}}"#
    let both = #"{"routes": {"/proxy/a/:x": {"GET": {"scope": "one", "operation": "x"}}, \#(second)}}"#
    let old = try policy(client, routes: both)
    let new = try policy(client, routes: #"{"routes": {\#(second)}}"#)
    #expect(sentences(diff(old, new)) == ["app gains GET /proxy/a/b on inst_a"])
    #expect(sentences(diff(new, old)) == ["app loses GET /proxy/a/b on inst_a"])
    #expect(diff(old, new).givesAccess && !diff(new, old).givesAccess)
  }

  @Test func `an instance that takes writes again, or is new, gives access to those that may use it`() throws {
    let clients =
      #""app": {"scopes": ["proxy:write"], "instances": ["*"], "tokens": [\#(entry("t"))]}, "#
      + #""own": {"scopes": ["proxy:write"], "instances": ["inst_a"], "tokens": [\#(entry("u"))]}"#
    let routes = #"{"routes": {"/proxy/x": {"POST": {"scope": "proxy:write", "operation": "x"}}}}"#
    let off = try policy(clients, instances: ["inst_a_off"], routes: routes)
    let on = try policy(clients, instances: ["inst_a", "inst_b"], routes: routes)
    #expect(
      sentences(diff(off, on)) == [
        "app gains POST /proxy/x on inst_a", "app gains POST /proxy/x on inst_b", "own gains POST /proxy/x on inst_a",
      ])
    #expect(!diff(on, off).givesAccess && diff(on, off).access.count == 2)
  }

  @Test(arguments: [
    (#""networks": ["10.0.0.0/8"]"#, #""networks": ["10.0.0.0/16", "10.7.0.0/16"]"#, false),
    (#""networks": ["10.0.0.0/16"]"#, #""networks": ["10.0.0.0/8"]"#, true),
    (#""networks": ["10.0.0.0/8"]"#, "", true), ("", #""networks": ["10.0.0.0/8"]"#, false),
    (#""networks": ["10.0.0.0/8"]"#, #""networks": ["10.0.0.0/8", "2001:db8::/32"]"#, true),
    (#""certificates": ["\#(String(repeating: "1", count: 64))"]"#, "", true),
    ("", #""certificates": ["\#(String(repeating: "1", count: 64))"]"#, false),
    (
      #""certificates": ["\#(String(repeating: "1", count: 64))"]"#,
      #""certificates": ["\#(String(repeating: "2", count: 64))"]"#, true
    ),
    (#""tokens_not_before": "2026-01-01T00:00:00Z""#, "", true),
    (#""tokens_not_before": "2026-01-01T00:00:00Z""#, #""tokens_not_before": "2026-01-02T00:00:00Z""#, false),
    (#""limits": {"concurrent": 1}"#, #""limits": {"concurrent": 9}"#, false),
  ])
  func `says whether a client's other conditions let more callers in`(old: String, new: String, isWider: Bool) throws {
    func client(_ more: String) -> String {
      #""app": {"scopes": ["*"], "instances": ["*"]\#(more.isEmpty ? "" : ", ")\#(more)}"#
    }
    let diff = try diff(policy(client(old)), policy(client(new)))
    #expect(diff.givesAccess == isWider && diff.access.isEmpty && diff.wider.count == (isWider ? 1 : 0))
  }

  @Test func `lists tokens that come, go, end otherwise, or change hands`() throws {
    func clients(_ first: [String], _ second: [String] = []) -> String {
      #""a": {"scopes": ["*"], "instances": ["*"], "tokens": [\#(first.joined(separator: ", "))]}, "#
        + #""b": {"scopes": ["*"], "instances": ["*"], "tokens": [\#(second.joined(separator: ", "))]}"#
    }
    let ends = #", "expires": "2030-01-01T00:00:00Z""#
    func changes(_ old: Policy, _ new: Policy) -> [String] {
      diff(old, new).tokens.map { "\($0.client) \($0.kind) \($0.text)" }
    }
    let before = try policy(clients([entry("t")]))
    let after = try policy(clients([entry("t", ends), entry("u", #", "note": "n""#)]))
    #expect(
      Set(changes(before, after)) == [
        "a expiry now expires at 2030-01-01T00:00:00Z; before, it never expires",
        "a added is added; it never expires",
      ])
    #expect(diff(before, after).access.first?.subjects.first?.credentials.map { $0.hasPrefix("new token ") } == [true])
    let back = diff(after, before)
    #expect(back.givesAccess && back.wider.count == 1 && back.tokens.map(\.kind).contains(.removed))
    #expect(changes(before, try policy(clients([], [entry("t")]))) == ["b moved was a token of a"])
    let digest = SHA256.digest(of: Array("t".utf8).span).hex
    let revoked = try policy(clients([entry("t")]), revoked: #""tokens": ["\#(digest)"], "clients": []"#)
    #expect(changes(before, revoked) == ["a revoked is revoked"] && !diff(before, revoked).givesAccess)
    #expect(changes(revoked, before) == ["a reinstated is no longer revoked"] && diff(revoked, before).givesAccess)
    let bound = try policy(clients([entry("t", #", "instances": ["inst_a"]"#)]))
    #expect(changes(before, bound) == ["a binding is now bound to inst_a"] && !diff(before, bound).givesAccess)
  }

  @Test func `counts client secrets, the token endpoint and other servers`() throws {
    var folder = OAuthFolder()
    let whole = try folder.policy()
    folder.clients["acme"] =
      #""scopes": ["proxy:read"], "instances": ["inst_a"], "oauth": \#(OAuthFolder.oauth("other"))"#
    let less = try folder.policy()
    let there = diff(whole, less)
    #expect(
      there.tokens.map(\.kind) == [.added, .removed] && there.tokens.allSatisfy { $0.credential == "client secret" })
    #expect(there.access.flatMap(\.subjects).flatMap(\.credentials).contains("tokens of the token endpoint"))
    // A new secret gives access to its holder.
    #expect(there.givesAccess && there.access.contains { $0.isLoss })
    let plain = try policy(#""app": {"scopes": ["proxy:read"], "instances": ["inst_a"]}"#)
    func asking(_ members: String) throws -> Policy {
      let server = #""url": "http://127.0.0.1:1/", "client_id": "g", "client_secret": {"env": "DEMO_KEY"}"#
      return try policy(
        #""app": {"scopes": ["proxy:read"], "instances": ["inst_a"]}"#,
        gateway: #"{"introspection": {"idp": {\#(server), "default": true, \#(members)}}}"#)
    }
    let read = #""audience": "a", "scopes": {"r": ["proxy:read"]}, "clients": {"by_sub": {"kim": "app"}}"#
    let asked = try asking(read)
    #expect(diff(plain, asked).givesAccess && !diff(asked, plain).givesAccess)
    #expect(diff(plain, asked).access.first?.subjects.first?.credentials == ["tokens of idp for kim with r"])
    let anyone = try asking(read.replacing(#""audience": "a""#, with: #""audience": null"#))
    #expect(diff(asked, anyone).wider.count == 1 && !diff(anyone, asked).givesAccess)
    let more = try asking(read.replacing(#""r": ["#, with: #""w": ["proxy:read"], "r": ["#))
    #expect(diff(asked, more).givesAccess && !diff(more, asked).givesAccess)
  }

  @Test func `a revoked token that no client has is no longer revoked`() throws {
    var folder = OAuthFolder()
    let whole = try folder.policy()
    folder.revoked = #""tokens": ["\#(SHA256.digest(of: Array("signed".utf8).span).hex)"]"#
    let revoking = try folder.policy()
    #expect(diff(revoking, whole).wider == ["1 revoked token that no client has is no longer revoked"])
    #expect(diff(revoking, whole).givesAccess && !diff(whole, revoking).givesAccess)
  }
}

struct PolicyDiffSlowTests {
  @Test(arguments: 10..<200) func `claims exactly the gains and losses that admission decides`(seed: UInt64) throws {
    try PolicyDiffTests().`claims exactly the gains and losses that admission decides`(seed: seed)
  }
}
