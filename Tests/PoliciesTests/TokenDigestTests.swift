import Digests
import TestValues
import Testing

@testable import Policies

@Suite struct TokenDigestTests {
  @Test func `gives the digest of tokens of every length that it keeps`() {
    var digests = TokenDigests()
    for count in 0...70 {
      let token = text(count, seed: 1)
      #expect(digests.digest(of: token.span) == nil)
      digests.insert(SHA256.digest(of: token.span), of: token.span)
      let isKept = (1...64).contains(count)
      #expect(digests.digest(of: token.span) == (isKept ? SHA256.digest(of: token.span) : nil), "\(count) bytes")
    }
  }

  /// With a seed of zeros, words of which each second one is zero have 0 as their hash, so that the comparison decides.
  @Test func `tells tokens of every length by every byte`() {
    for count in 1...64 {
      var digests = TokenDigests(seed: (0, 0))
      let token = [UInt8](repeating: 0, count: count)
      digests.insert(SHA256.digest(of: token.span), of: token.span)
      for place in token.indices {
        var other = token
        other[place] = UInt8(ascii: "b")
        #expect(digests.digest(of: other.span) == nil)
      }
      for other in [token + [0], token + [UInt8(ascii: "a")], token.dropLast()] as [[UInt8]] {
        #expect(digests.digest(of: other.span) == nil)
      }
    }
  }

  @Test func `keeps eight tokens of one set, and gives up old ones for new ones`() {
    var digests = TokenDigests(seed: (0, 0))
    let tokens = (10..<30).map { number in Array("token-\(number)".utf8) + [UInt8](repeating: 0, count: 8) }
    for (index, token) in tokens.enumerated() {
      digests.insert(SHA256.digest(of: token.span), of: token.span)
      let kept = tokens.prefix(index + 1).filter { isRight(digests.digest(of: $0.span), of: $0) }
      #expect(kept.count == min(index + 1, 8) && kept.contains(token))
    }
  }

  @Test func `begins small, and finds all tokens again when it has grown`() {
    var digests = TokenDigests()
    var sizes: [Int] = []
    let tokens = (0..<600).map { index in text(1 + index % 64, seed: UInt64(index)) }
    for (index, token) in tokens.enumerated() {
      if digests.digest(of: token.span) == nil { digests.insert(SHA256.digest(of: token.span), of: token.span) }
      guard sizes.last != digests.tags.count else { continue }
      sizes.append(digests.tags.count)
      #expect(tokens[...index].allSatisfy { isRight(digests.digest(of: $0.span), of: $0) })
    }
    // One token in 256 that finds its set full makes it double twice, or more often.
    #expect(sizes.first == 128 && sizes.count > 2 && sizes == sizes.sorted())
    #expect(sizes.allSatisfy { $0.nonzeroBitCount == 1 })
  }

  @Test func `holds 1,024 tokens that take turns, and as many bytes as it says`() {
    var digests = TokenDigests()
    let tokens = (0..<1024).map { index in text(57, seed: UInt64(index)) }
    var missed = 0
    for round in 0..<3 {
      for token in tokens {
        if isRight(digests.digest(of: token.span), of: token) { continue }
        digests.insert(SHA256.digest(of: token.span), of: token.span)
        if round > 0 { missed += 1 }
      }
    }
    #expect(missed < 60)
    #expect(digests.tags.count * 4 + digests.words.count * 8 <= 400 << 10)
  }

  @Test func `never gives another digest than SHA-256 does`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededGenerator(state: seed)
    var digests = TokenDigests(seed: (random.next(), random.next()))
    var hits = 0
    for _ in 0..<40_000 {
      // Few letters and lengths, so that tokens come again.
      let count = Int.random(in: 1...9, using: &random) * 8 - Int.random(in: 0...1, using: &random)
      var token = [UInt8](repeating: UInt8(ascii: "x"), count: count)
      for _ in 0..<2 { token[Int.random(in: 0..<count, using: &random)] = UInt8.random(in: 97...99, using: &random) }
      let digest = SHA256.digest(of: token.span)
      if let kept = digests.digest(of: token.span) {
        hits += 1
        #expect(kept == digest, "seed \(seed)")
      } else if Bool.random(using: &random) {
        digests.insert(digest, of: token.span)
      }
    }
    #expect(hits > 1_000, "seed \(seed)")
  }
}

/// The policy is evaluated for each request, whatever digests are cached.
@Suite struct KeptTokenTests {
  private static let request = Request("GET /proxy/balances?instance_id=inst_a", ["Authorization: Bearer reader"])

  @Test func `keeps a token that the policy knows, and no other`() throws {
    var caches = TokenCaches()
    for token in ["unknown", "not a token"] {
      let request = Request("GET /proxy/balances?instance_id=inst_a", ["Authorization: Bearer \(token)"])
      #expect(request.rejection(&caches) != nil)
    }
    #expect(caches.digests.tags.isEmpty && caches.digests.words.isEmpty)
    #expect(Self.request.rejection(&caches) == nil)
    #expect(caches.digests.digest(of: Array("reader".utf8).span) == SHA256.digest(of: Array("reader".utf8).span))
    #expect(caches.digests.digest(of: Array("unknown".utf8).span) == nil)
  }

  @Test func `admits with a kept digest just what it admits without`() throws {
    var caches = TokenCaches()
    for _ in 0..<3 {
      for token in ["reader", "expired", "revoked", "none", "unknown"] {
        let request = Request("GET /proxy/balances?instance_id=inst_a", ["Authorization: Bearer \(token)"])
        #expect(request.rejection(&caches) == request.rejection())
      }
    }
  }

  @Test(arguments: [(Reader.gone, Rejection.tokenUnknown), (.revoked, .tokenRevoked), (.expired, .tokenExpired)])
  func `rejects on the very next request what a new policy rejects`(reader: Reader, rejection: Rejection) {
    var caches = TokenCaches()
    #expect(Self.request.rejection(&caches) == nil)
    #expect(Self.request.rejection(&caches, by: admissionPolicy(reader)) == rejection)
    #expect(Self.request.rejection(&caches) == nil)
  }
}

private func text(_ count: Int, seed: UInt64) -> [UInt8] {
  var random = SeededGenerator(state: seed)
  return (0..<count).map { _ in UInt8.random(in: UInt8(ascii: "a")...UInt8(ascii: "z"), using: &random) }
}

private func isRight(_ digest: Digest?, of token: [UInt8]) -> Bool { digest == SHA256.digest(of: token.span) }
