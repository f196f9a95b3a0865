import Digests

@testable import OAuth

/// Claims with texts of every length.
func randomClaims(using generator: inout some RandomNumberGenerator) -> TokenClaims {
  func text(_ count: Int) -> String {
    String(decoding: (0..<count).map { _ in UInt8.random(in: 0x21...0x7e, using: &generator) }, as: UTF8.self)
  }
  func digest() -> Digest { Digest(words: (generator.next(), generator.next(), generator.next(), generator.next())) }
  func id() -> TokenID {
    TokenID(high: generator.next(), low: UInt32.random(in: .min ... .max, using: &generator))
  }
  let kind = SignedTokenKind.allCases.randomElement(using: &generator) ?? .access
  let first = id()
  let grant = Bool.random(using: &generator) ? id() : first
  let names = ["proxy:read", "proxy:write", "*", "data:read", "data:write"]
  // Mostly sets in their order; sometimes in another one, or with a name twice.
  let known = (0..<2).flatMap { _ in names.filter { _ in UInt8.random(in: 0..<4, using: &generator) == 0 } }
  let scope =
    Bool.random(using: &generator)
    ? known.joined(separator: " ") : text(Int.random(in: 0...512, using: &generator))
  let challenge = Bool.random(using: &generator) ? digest() : nil
  return TokenClaims(
    kind: kind, id: first, grant: grant, client: text(Int.random(in: 1...64, using: &generator)), scope: scope,
    issuedAt: Int64.random(in: 0...Int64(UInt32.max), using: &generator),
    lifetimeSeconds: Int.random(in: 1...Int(UInt32.max), using: &generator),
    code: kind == .code ? CodeBinding(redirectURI: digest(), challenge: challenge) : nil)
}

/// The same claims for the reference.
func reference(_ claims: TokenClaims) -> ReferenceToken {
  func bytes(_ digest: Digest) -> [UInt8] { digest.bytes.indices.map { digest.bytes[$0] } }
  func bytes(_ id: TokenID) -> [UInt8] {
    stride(from: 0, to: 24, by: 2).map { offset in
      UInt8(id.hex.dropFirst(offset).prefix(2), radix: 16) ?? 0
    }
  }
  var token = ReferenceToken()
  token.prefix = claims.kind.prefix
  token.kind = claims.kind.rawValue
  (token.issuedAt, token.lifetime) = (UInt32(claims.issuedAt), UInt32(claims.lifetimeSeconds))
  (token.id, token.grant) = (bytes(claims.id), claims.grant == claims.id ? nil : bytes(claims.grant))
  (token.client, token.scope) = (Array(claims.client.utf8), Array(claims.scope.utf8))
  if let code = claims.code {
    token.binding = bytes(code.redirectURI) + (code.challenge.map { [1] + bytes($0) } ?? [0])
  }
  return token
}
