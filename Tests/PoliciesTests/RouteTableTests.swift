import HTTP1
import TestValues
import Testing

@testable import Policies

@Suite struct RouteTableTests {
  static let table = RouteTable(defaultRoutes)

  @Test(arguments: [
    (Method.get, "/proxy/balances", "balances.list"), (.head, "/proxy/balances", "balances.list"),
    (.post, "/proxy/balances", "balances.create"), (.post, "/proxy/balances/filter", "balances.filter"),
    (.get, "/proxy/balances/bln_1", "balances.get"), (.head, "/proxy/balances/bln_1", "balances.get"),
    (.put, "/proxy/balances/b/identity", "balances.link_identity"), (.get, "/proxy/balances/b/at", "balances.at"),
    (.get, "/proxy/balances/b/lineage", "balances.lineage"),
    (.get, "/proxy/balances/indicator/@World/currency/USD", "balances.by_indicator"),
    (.put, "/proxy/balances/indicator/identity", "balances.link_identity"),
    (.get, "/proxy/balances/indicator", "balances.get"), (.get, "/proxy/identities", "identities.list"),
    (.post, "/proxy/identities", "identities.create"), (.post, "/proxy/identities/filter", "identities.filter"),
    (.get, "/proxy/identities/i", "identities.get"), (.put, "/proxy/identities/i", "identities.update"),
    (.delete, "/proxy/identities/i", "identities.delete"),
    (.get, "/proxy/identities/i/tokenized-fields", "identities.tokenized_fields"),
    (.post, "/proxy/identities/i/tokenize", "identities.tokenize"),
    (.post, "/proxy/identities/i/tokenize/EmailAddress", "identities.tokenize"),
    (.post, "/proxy/identities/i/detokenize", "identities.detokenize"),
    (.get, "/proxy/identities/i/detokenize/EmailAddress", "identities.detokenize"),
    (.get, "/proxy/balances/a%40b", "balances.get"),
  ])
  func `finds the routes of the documents`(method: Method, path: String, operation: String) throws {
    let match = try #require(Self.table.match(path))
    let route = Self.table.routes[Int(try Self.table.route(method, at: match))]
    #expect(String(decoding: route.operation, as: UTF8.self) == operation)
    #expect(route.isWrite == (route.scope == .write))
  }

  @Test(arguments: [
    "/proxy", "/proxy/", "/", "/proxy/balances/", "/proxy/balances/b/", "/proxy/balances/b/identity/",
    "/proxy/Balances",
    "/PROXY/balances", "/proxy/balance", "/proxy/balancess", "/proxy/balances/b/other",
    "/proxy/balances/filter/identity/x",
    "/proxy/balances/indicator/a/currency", "/proxy/balances//identity", "/proxybalances",
    "/proxy/identities/i/at",
  ])
  func `has no route elsewhere`(path: String) {
    #expect(Self.table.match(path) == nil)
  }

  @Test(arguments: [
    (Method.delete, "/proxy/balances", "GET, HEAD, POST"), (.options, "/proxy/balances", "GET, HEAD, POST"),
    (.other, "/proxy/balances", "GET, HEAD, POST"), (.get, "/proxy/balances/filter", "POST"),
    (.head, "/proxy/balances/filter", "POST"), (.patch, "/proxy/identities/i", "GET, HEAD, PUT, DELETE"),
    (.get, "/proxy/balances/b/identity", "PUT"), (.trace, "/proxy/balances/b/at", "GET, HEAD"),
  ])
  func `says which methods a path takes`(method: Method, path: String, allow: String) throws {
    let match = try #require(Self.table.match(path))
    let rejection = #expect(throws: Rejection.self) { try Self.table.route(method, at: match) }
    #expect(rejection?.allow == allow)
    #expect(rejection?.code.status == 405)
  }

  @Test(arguments: [
    (Method.get, "proxy:read", false), (.get, "x:y", false), (.get, "proxy:write", true), (.post, "proxy:read", false),
    (.post, "x:y", true), (.delete, "proxy:write", true),
  ])
  func `takes anything for a write that does not say it reads`(method: Method, scope: String, isWrite: Bool) throws {
    let definition = try RouteDefinition(
      pattern: #require(RoutePattern("/proxy/a")), method: method, scope: #require(Scope(scope)), operation: "o")
    #expect(definition.isWrite == isWrite)
  }

  @Test func `finds what a naive matcher finds`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededGenerator(state: seed)
    for _ in 0..<300 {
      let patterns = Set(
        (0..<12).map { _ in randomPath(of: ["a", "a-segment-b", "a-segment-c", ":x"], using: &random) }
      ).sorted()
      let definitions = patterns.enumerated().compactMap { index, text in
        RoutePattern("/proxy" + text).map {
          RouteDefinition(pattern: $0, method: .get, scope: .read, operation: "\(index)")
        }
      }
      let table = RouteTable(definitions)
      for _ in 0..<100 {
        let path = randomPath(of: ["a", "a-segment-b", "a-segment-c", "a-segment-d", ""], using: &random)
        let match = table.match("/proxy" + path)
        let found = match.flatMap { try? table.route(.get, at: $0) }.map { table.routes[Int($0)].pattern }
        let wanted = naiveMatch(path, patterns).map { Array(("/proxy" + $0).utf8) }
        #expect(found == wanted, "seed \(seed): \(path) in \(patterns)")
      }
    }
  }
}

extension RouteTable {
  /// - Parameter path: with `/proxy` in front, as patterns are written.
  fileprivate func match(_ path: String) -> Match? {
    let bytes = Array(("GET " + path).utf8)
    return match(bytes.span, corePath: (path.hasPrefix("/proxy/") ? 10 : 4)..<bytes.count)
  }
}

/// The pattern with the leftmost literals of all that match.
private func naiveMatch(_ path: String, _ patterns: [String]) -> String? {
  let segments = path.split(separator: "/", omittingEmptySubsequences: false)
  let matching = patterns.filter { pattern in
    let parts = pattern.split(separator: "/", omittingEmptySubsequences: false)
    return parts.count == segments.count
      && zip(parts, segments).dropFirst().allSatisfy { part, segment in
        part == segment && !segment.isEmpty || part == ":x" && !segment.isEmpty
      }
  }
  return matching.min { left, right in shape(left).lexicographicallyPrecedes(shape(right)) }
}

private func shape(_ pattern: String) -> [Int] {
  pattern.split(separator: "/").map { part in part == ":x" ? 1 : 0 }
}

private func randomPath(of segments: [String], using random: inout SeededGenerator) -> String {
  let count = Int.random(in: 1...4, using: &random)
  return (0..<count).map { _ in "/" + segments.randomElement(using: &random)! }.joined()
}
