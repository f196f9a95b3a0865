import Digests
import OAuth
import TestValues
import Testing

@testable import Policies

extension TokenID {
  static func digest(_ text: String) -> String { SHA256.digest(of: Array(text.utf8).span).hex }
}

@Suite struct SignedTokensTests {
  private let policy = PolicyIdentity()

  private func entry(_ number: Int) -> SignedTokens.Entry {
    SignedTokens.Entry(
      client: Int32(number), scopes: .all, expiry: 1, id: .sample(UInt64(number)), grant: .sample(1_000))
  }

  private func text(_ count: Int, seed: UInt64) -> [UInt8] {
    var generator = SeededGenerator(state: seed)
    return (0..<count).map { _ in UInt8.random(in: 0x21...0x7e, using: &generator) }
  }

  @Test func `finds tokens of every length that it keeps`() {
    for count in 65...200 {
      var cache = SignedTokens()
      let token = text(count, seed: UInt64(count))
      #expect(cache.entry(of: token.span, under: policy) == nil)
      cache.insert(token.span, entry(count), under: policy)
      let found = cache.entry(of: token.span, under: policy)
      #expect(
        found?.client == (count <= 192 ? Int32(count) : nil) && (found == nil || found?.id == .sample(UInt64(count))))
    }
  }

  /// With a seed of zeros, tokens that end in zeros have 0 as their hash, so that the comparison decides.
  @Test func `tells tokens of every length by every byte`() {
    for count in 65...192 {
      var cache = SignedTokens(seed: (0, 0))
      let token = [UInt8](repeating: 0, count: count)
      cache.insert(token.span, entry(1), under: policy)
      #expect(cache.entry(of: token.span, under: policy)?.client == 1)
      for place in token.indices {
        var other = token
        other[place] = 1
        #expect(cache.entry(of: other.span, under: policy) == nil, "\(count) bytes, byte \(place)")
      }
      for other in [token + [0], token + [1], Array(token.dropLast())] where other.count > 64 {
        #expect(cache.entry(of: other.span, under: policy) == nil)
      }
    }
  }

  @Test func `keeps many tokens apart, grows, and never exceeds its bound`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var cache = SignedTokens(seed: (seed, ~seed))
    let tokens = (0..<6_000).map { text(100 + $0 % 93, seed: seed &+ UInt64($0)) }
    for (number, token) in tokens.enumerated() {
      cache.insert(token.span, entry(number), under: policy)
      #expect(cache.entry(of: token.span, under: policy)?.client == Int32(number), "seed \(seed)")
    }
    var kept = 0
    for (number, token) in tokens.enumerated() {
      guard let found = cache.entry(of: token.span, under: policy) else { continue }
      kept += 1
      #expect(found.client == Int32(number), "seed \(seed)")
    }
    #expect((1_500...2_048).contains(kept), "seed \(seed)")
    cache.revoke([.sample(1_000)])
    for token in tokens { #expect(cache.entry(of: token.span, under: policy) == nil) }
    cache.forgetRevoked([.sample(1_000)])
    let token = tokens[0]
    cache.insert(token.span, entry(0), under: policy)
    #expect(cache.entry(of: token.span, under: policy)?.client == 0)
  }

  @Test func `knows under which policy it has verified tokens`() {
    var cache = SignedTokens()
    let (one, two, other) = (text(100, seed: 1), text(100, seed: 2), PolicyIdentity())
    cache.insert(one.span, entry(1), under: policy)
    #expect(cache.entry(of: one.span, under: policy)?.client == 1)
    #expect(cache.entry(of: one.span, under: other) == nil)
    cache.insert(two.span, entry(2), under: other)
    #expect(cache.entry(of: two.span, under: other)?.client == 2)
    for policy in [policy, other] { #expect(cache.entry(of: one.span, under: policy) == nil) }
    #expect(cache.entry(of: two.span, under: policy) == nil)
  }

  @Test func `tokens with the same hash evict each other, and are never taken for each other`() {
    var cache = SignedTokens(seed: (0, 0))
    let tokens = (0..<40).map { number in text(68, seed: UInt64(number)) + [UInt8](repeating: 0, count: 32) }
    for (number, token) in tokens.enumerated() {
      cache.insert(token.span, entry(number), under: policy)
      var kept: [Int] = []
      for (other, token) in tokens.enumerated() {
        guard let found = cache.entry(of: token.span, under: policy) else { continue }
        #expect(found.client == Int32(other))
        kept.append(other)
      }
      #expect(kept.contains(number) && kept.count <= 4)
    }
  }
}
