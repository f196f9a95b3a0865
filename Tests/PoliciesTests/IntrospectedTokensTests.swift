import Digests
import Testing

@testable import Policies

/// What a loop remembers of answers, and for how long.
@Suite struct IntrospectedTokensTests {
  private static let now = UnixSeconds(1_800_000_000)

  private static func key(_ name: String) -> Digest { SHA256.digest(of: Array(name.utf8).span) }

  private static func answer(_ members: String = "") throws -> IntrospectionAnswer {
    try #require(try IntrospectionAnswer.read(Array("{\"active\":true\(members)}".utf8)))
  }

  private static func after(_ seconds: Int64) -> UnixSeconds { UnixSeconds(now.rawValue + seconds) }

  private enum Found: Equatable { case active, inactive, unavailable, nothing }

  private static func found(
    _ cache: inout IntrospectedTokens, _ name: String, after seconds: Int64, secondsMax: Int
  ) -> Found {
    switch cache.result(of: key(name), at: after(seconds), secondsMax: secondsMax)?.result {
    case .active: .active
    case .inactive: .inactive
    case .unavailable: .unavailable
    case nil: .nothing
    }
  }

  @Test func `an answer counts for its lifetime, from when it was asked for`() throws {
    var cache = IntrospectedTokens()
    cache.insert(
      SettledIntrospection(key: Self.key("a"), .active(try Self.answer()), askedAt: Self.now), .admitted,
      at: Self.after(3), secondsMax: 10)
    #expect(Self.found(&cache, "a", after: 0, secondsMax: 10) == .active)
    #expect(Self.found(&cache, "a", after: 9, secondsMax: 10) == .active)
    #expect(Self.found(&cache, "a", after: 10, secondsMax: 10) == .nothing)
    // A policy that shortens the lifetime, a write, and a clock that was set back.
    #expect(Self.found(&cache, "a", after: 5, secondsMax: 5) == .nothing)
    #expect(Self.found(&cache, "a", after: 0, secondsMax: 0) == .nothing)
    #expect(Self.found(&cache, "a", after: -1, secondsMax: 10) == .nothing)
    #expect(Self.found(&cache, "b", after: 0, secondsMax: 10) == .nothing)
  }

  @Test func `an expired answer and a lifetime of 0 are not remembered`() throws {
    var cache = IntrospectedTokens()
    let expired = try Self.answer(#","exp":1800000000"#)
    cache.insert(
      SettledIntrospection(key: Self.key("a"), .active(expired), askedAt: Self.now), .refused, at: Self.now,
      secondsMax: 10)
    #expect(Self.found(&cache, "a", after: 0, secondsMax: 10) == .nothing)
    cache.insert(
      SettledIntrospection(key: Self.key("a"), .active(try Self.answer()), askedAt: Self.now), .admitted, at: Self.now,
      secondsMax: 0)
    #expect(Self.found(&cache, "a", after: 0, secondsMax: 10) == .nothing)
  }

  @Test func `inactive is remembered for 10 s and replaces active; a fault changes nothing`() throws {
    var cache = IntrospectedTokens()
    let active = IntrospectionResult.active(try Self.answer())
    cache.insert(
      SettledIntrospection(key: Self.key("a"), active, askedAt: Self.now), .admitted, at: Self.now, secondsMax: 300)
    cache.insert(
      SettledIntrospection(key: Self.key("a"), .unavailable(reason: ""), askedAt: Self.now), .unknown, at: Self.now,
      secondsMax: 300)
    #expect(Self.found(&cache, "a", after: 1, secondsMax: 300) == .active)
    cache.insert(
      SettledIntrospection(key: Self.key("a"), .inactive, askedAt: Self.after(1)), .refused, at: Self.after(1),
      secondsMax: 300)
    #expect(Self.found(&cache, "a", after: 2, secondsMax: 300) == .inactive)
    #expect(Self.found(&cache, "a", after: 10, secondsMax: 300) == .inactive)
    #expect(Self.found(&cache, "a", after: 11, secondsMax: 300) == .nothing)
    cache.insert(
      SettledIntrospection(key: Self.key("b"), .unavailable(reason: ""), askedAt: Self.now), .unknown, at: Self.now,
      secondsMax: 300)
    #expect(Self.found(&cache, "b", after: 0, secondsMax: 300) == .nothing)
  }

  @Test func `made-up tokens evict no answer about a real one, and memory is bounded`() throws {
    var cache = IntrospectedTokens()
    let active = IntrospectionResult.active(try Self.answer())
    cache.insert(
      SettledIntrospection(key: Self.key("real"), active, askedAt: Self.now), .admitted, at: Self.now, secondsMax: 10)
    for number in 0..<1_000 {
      cache.insert(
        SettledIntrospection(key: Self.key("made-up \(number)"), .inactive, askedAt: Self.now), .refused, at: Self.now,
        secondsMax: 10)
    }
    #expect(Self.found(&cache, "real", after: 1, secondsMax: 10) == .active)
    #expect(Self.found(&cache, "made-up 999", after: 1, secondsMax: 10) == .inactive)
    #expect(Self.found(&cache, "made-up \(999 - IntrospectedTokens.refusedMax)", after: 1, secondsMax: 10) == .nothing)
    for number in 0..<IntrospectedTokens.admittedMax {
      cache.insert(
        SettledIntrospection(key: Self.key("other \(number)"), active, askedAt: Self.now), .admitted, at: Self.now,
        secondsMax: 10)
    }
    #expect(Self.found(&cache, "real", after: 1, secondsMax: 10) == .nothing)
    #expect(Self.found(&cache, "other 0", after: 1, secondsMax: 10) == .active)
  }

  @Test func `what a request has waited for counts for that request only, however old`() throws {
    var cache = IntrospectedTokens()
    cache.held = SettledIntrospection(key: Self.key("a"), .active(try Self.answer()), askedAt: Self.now)
    #expect(Self.found(&cache, "a", after: 1_000, secondsMax: 0) == .active)
    #expect(Self.found(&cache, "b", after: 0, secondsMax: 10) == .nothing)
    cache.held = SettledIntrospection(key: Self.key("a"), .unavailable(reason: ""), askedAt: Self.now)
    #expect(Self.found(&cache, "a", after: 0, secondsMax: 10) == .unavailable)
    cache.held = nil
    #expect(Self.found(&cache, "a", after: 0, secondsMax: 10) == .nothing)
  }

  @Test func `active tokens of no client evict no answer about a client's, and admit nothing while remembered`() throws
  {
    var cache = IntrospectedTokens()
    let active = IntrospectionResult.active(try Self.answer())
    func insert(_ name: String, _ standing: TokenStanding) {
      cache.insert(
        SettledIntrospection(key: Self.key(name), active, askedAt: Self.now), standing, at: Self.now, secondsMax: 10)
    }
    insert("real", .admitted)
    for number in 0..<3_000 { insert("foreign \(number)", .refused) }
    #expect(Self.found(&cache, "real", after: 1, secondsMax: 10) == .active)
    #expect(Self.found(&cache, "foreign 2999", after: 1, secondsMax: 10) == .nothing)
    #expect(cache.refusedAnswer(about: Self.key("foreign 2999"), at: Self.after(9)) != nil)
    #expect(cache.refusedAnswer(about: Self.key("foreign 2999"), at: Self.after(10)) == nil)
    #expect(cache.refusedAnswer(about: Self.key("foreign \(2_999 - 256)"), at: Self.after(1)) == nil)
    // A token that loses its client, and one that gains it.
    insert("real", .refused)
    #expect(Self.found(&cache, "real", after: 1, secondsMax: 10) == .nothing)
    insert("foreign 2999", .admitted)
    #expect(Self.found(&cache, "foreign 2999", after: 1, secondsMax: 10) == .active)
    #expect(cache.refusedAnswer(about: Self.key("foreign 2999"), at: Self.after(1)) == nil)
  }
}
