import Digests
import Policies
import Testing

@testable import Gateway

/// How many unknown tokens an address may present, and which tokens are known.
@Suite struct IntrospectionLimitsTests {
  private static let near = PeerAddress.ip(IPAddress(ipv4: 0x7f00_0001))

  private static func key(_ number: Int) -> Digest { SHA256.digest(of: Array("\(number)".utf8).span) }

  /// How many of `count` questions are allowed.
  private static func taken(
    _ limits: inout IntrospectionLimits, _ count: Int = 1, now: Int64,
    from address: (Int) -> PeerAddress = { _ in near }
  ) -> Int {
    (0..<count).count { limits.take(address($0), now: now) }
  }

  private static func knows(_ tokens: inout AdmittedTokens, _ number: Int, now: Int64) -> Bool {
    tokens.contains(key(number), now: now)
  }

  @Test func `an address has 100 questions and regains two a second; only an answer that admits gives one back`() {
    var limits = IntrospectionLimits()
    var counts = [Self.taken(&limits, 120, now: 5_000)]
    counts.append(Self.taken(&limits, now: 5_499))
    counts.append(Self.taken(&limits, 2, now: 5_500))
    limits.giveBack(Self.near)
    counts.append(Self.taken(&limits, 2, now: 5_500))
    counts.append(Self.taken(&limits, 1, now: 5_500) { _ in .ip(IPAddress(ipv4: 0x7f00_0002)) })
    #expect(counts == [100, 0, 1, 1, 1])
  }

  @Test func `the addresses of one IPv6 host are one, and memory is bounded`() {
    var limits = IntrospectionLimits()
    let ofOneHost = Self.taken(&limits, 120, now: 0) { .ip(IPAddress(high: 1, low: UInt64($0))) }
    let ofMany = Self.taken(&limits, 30_000, now: 0) { .ip(IPAddress(high: UInt64($0 + 2), low: 0)) }
    #expect(ofOneHost == 100 && ofMany == 30_000)
  }

  @Test func `a token is known for an hour after it was admitted last, and then forgotten`() {
    var tokens = AdmittedTokens()
    let hour = AdmittedTokens.milliseconds
    tokens.insert(Self.key(0), now: hour)
    let known = [Self.knows(&tokens, 0, now: 2 * hour), Self.knows(&tokens, 1, now: 2 * hour)]
    let later = Self.knows(&tokens, 0, now: 4 * hour)
    tokens.insert(Self.key(0), now: 4 * hour)
    tokens.remove(Self.key(0))
    let removed = Self.knows(&tokens, 0, now: 4 * hour)
    #expect(known == [true, false] && !later && !removed)
  }

  @Test func `the tokens that were admitted least recently are forgotten first`() {
    var tokens = AdmittedTokens()
    let last = 3 * AdmittedTokens.tokensMax - 1
    for number in 0...last {
      tokens.insert(Self.key(-1), now: 0)
      tokens.insert(Self.key(number), now: 0)
    }
    let known = [-1, last, 0].map { Self.knows(&tokens, $0, now: 0) }
    #expect(known == [true, true, false])
  }
}
