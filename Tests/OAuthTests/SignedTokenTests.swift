import Digests
import TestValues
import Testing

@testable import OAuth

private let issuedAt: Int64 = 1_800_000_000

/// An authority with the keys of `ReferenceToken`.
func authority(
  issuer: String = "https://gateway.example", audience: String = "https://gateway.example",
  keys: [(name: String, secret: String)] = [("k1", "0123456789abcdef0123456789abcdef")]
) -> TokenAuthority {
  TokenAuthority(
    issuer: issuer, audience: audience,
    keys: keys.map { TokenKey(name: $0.name, secret: Array($0.secret.utf8).span) })
}

/// Why a text is refused; nil: it is not.
func fault(
  of text: String, as kind: SignedTokenKind = .access, at now: Int64 = issuedAt, by authority: TokenAuthority
) -> TokenFault? {
  fault(of: Array(text.utf8), as: kind, at: now, by: authority)
}

func fault(of text: [UInt8], as kind: SignedTokenKind, at now: Int64, by authority: TokenAuthority) -> TokenFault? {
  do throws(TokenFault) {
    _ = try authority.verify(text.span, as: kind, at: now)
    return nil
  } catch {
    return error
  }
}

@Suite struct SignedTokenTests {
  static let id = TokenID(high: 0x0001_0203_0405_0607, low: 0x0809_0a0b)
  static let grant = TokenID(high: 0xa0a1_a2a3_a4a5_a6a7, low: 0xa8a9_aaab)
  static let redirectURI = SHA256.digest(of: Array("https://app.example/callback".utf8).span)
  static let challenge = CodeVerifier("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")?.challenge

  static func claims(
    _ kind: SignedTokenKind = .access, client: String = "acme", scope: String = "proxy:read proxy:write",
    lifetime: Int = 3_600, hasGrant: Bool = true, code: CodeBinding? = nil
  ) -> TokenClaims {
    TokenClaims(
      kind: kind, id: id, grant: hasGrant ? grant : id, client: client, scope: scope, issuedAt: issuedAt,
      lifetimeSeconds: lifetime,
      code: code)
  }

  /// Made with Python's `hmac`, `hashlib` and `base64`; a change of the format breaks all tokens in use.
  static let golden: [(TokenClaims, String)] = [
    (
      claims(),
      "blnk_at_KWq58eubJZAPtUhKw2tJ0gAAAA4QAAECAwQFBgcICQoLoKGio6SlpqeoqaqrBGFjbWUD6O4lWuApXlyTlPzdaJo7UdiR"
        + "aPLdB8TNiTj4pomkRok"
    ),
    (
      claims(hasGrant: false),
      "blnk_at_IWq58eubJZAPtUhKw2tJ0gAAAA4QAAECAwQFBgcICQoLBGFjbWUDkQ7PBdlxrry0NwTe63_Tpg2J-_fFVgGQioVbSL82"
        + "hcc"
    ),
    (
      claims(scope: "proxy:write proxy:read"),
      "blnk_at_LWq58eubJZAPtUhKw2tJ0gAAAA4QAAECAwQFBgcICQoLoKGio6SlpqeoqaqrBGFjbWUAFnByb3h5OndyaXRlIHByb3h5"
        + "OnJlYWT5teNzD5GxgMJW-44sFj5fRPK9zIxUDWsZtUdz0-MdDA"
    ),
    (
      claims(.refresh, scope: "*", lifetime: 2_592_000),
      "blnk_rt_Kmq58eubJZAPtUhKw2tJ0gAAJ40AAAECAwQFBgcICQoLoKGio6SlpqeoqaqrBGFjbWUE3Yasvqdh3QyqV07ENOlbRuB6"
        + "wGLLxdGgMVcANz31iPk"
    ),
    (
      claims(
        .code, scope: "proxy:read", lifetime: 60, code: CodeBinding(redirectURI: redirectURI, challenge: challenge)),
      "blnk_ac_K2q58eubJZAPtUhKw2tJ0gAAAAA8AAECAwQFBgcICQoLoKGio6SlpqeoqaqrBGFjbWUBm4SdtIOut-1zbj1TV87IT3cq"
        + "5xCuAfBDFmaUazhUZ5cBE9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cNylB98ZNfmMn2ONFs5emm2FxjHiclKqRfDVWcn"
        + "RfJHIw"
    ),
    (
      claims(.code, scope: "proxy:read", lifetime: 60, code: CodeBinding(redirectURI: redirectURI, challenge: nil)),
      "blnk_ac_K2q58eubJZAPtUhKw2tJ0gAAAAA8AAECAwQFBgcICQoLoKGio6SlpqeoqaqrBGFjbWUBm4SdtIOut-1zbj1TV87IT3cq"
        + "5xCuAfBDFmaUazhUZ5cAC4TzE7x7KKWynygmaox3cY4QEbNh_uAdHXTypZxHOF4"
    ),
  ]

  @Test func `the format is that of the golden tokens`() throws {
    for (claims, text) in Self.golden {
      #expect(authority().sign(claims) == text)
      var token = try authority().verify(Array(text.utf8).span, as: claims.kind, at: issuedAt)
      try expect(&token, claims)
    }
    #expect(ReferenceToken().text == Self.golden[0].1)
  }

  private func expect(
    _ token: inout VerifiedToken, _ claims: TokenClaims, _ note: Comment? = nil
  ) throws {
    let (id, grant, client, scope, code) = (token.id, token.grant, token.client, token.scope, token.code)
    let (issued, expires) = (token.issuedAt, token.expiresAt)
    let spans = (token.withClient { Array(copying: $0) }, token.withScope { Array(copying: $0) })
    #expect(id == claims.id && grant == claims.grant, note)
    #expect(client == claims.client && scope == claims.scope && code == claims.code, note)
    #expect(issued == claims.issuedAt && expires == claims.issuedAt + Int64(claims.lifetimeSeconds), note)
    #expect(spans.0 == Array(claims.client.utf8) && spans.1 == Array(claims.scope.utf8), note)
  }

  @Test func `random claims come back as they were signed, and as the reference signs them`() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SeededGenerator(state: seed)
    for _ in 0..<400 {
      let claims = randomClaims(using: &generator)
      let text = authority().sign(claims)
      #expect(text == reference(claims).text, "seed \(seed)")
      var token = try authority().verify(Array(text.utf8).span, as: claims.kind, at: claims.issuedAt)
      try expect(&token, claims, "seed \(seed)")
    }
  }

  @Test func `the longest token fits, and longer texts are foreign`() throws {
    let (client, scope) = (String(repeating: "c", count: 64), String(repeating: "s", count: 512))
    let code = CodeBinding(redirectURI: Self.redirectURI, challenge: Self.challenge)
    let claims = Self.claims(.code, client: client, scope: scope, code: code)
    let text = authority().sign(claims)
    #expect(text.utf8.count == TokenAuthority.tokenCharactersMax)
    var token = try authority().verify(Array(text.utf8).span, as: .code, at: issuedAt)
    try expect(&token, claims)
    for extra in ["A", "AA", "AAA", "AAAA", String(repeating: "A", count: 8_000)] {
      #expect(fault(of: text + extra, as: .code, by: authority()) == .foreign)
    }
  }

  @Test func `the shortest token fits`() throws {
    let claims = Self.claims(client: "c", scope: "")
    var token = try authority().verify(Array(authority().sign(claims).utf8).span, as: .access, at: issuedAt)
    try expect(&token, claims)
  }

  @Test func `refuses a token that is cut anywhere`() {
    for (claims, text) in Self.golden {
      for count in 0..<text.utf8.count {
        let found = fault(of: String(text.prefix(count)), as: claims.kind, by: authority())
        #expect(found == .foreign || found == .forged, "\(count) characters")
      }
    }
  }

  @Test func `refuses a token that is longer than it was signed`() {
    for (claims, text) in Self.golden {
      for extra in ["A", "AA", "AAA", "AAAA", "=", "==", ".", " ", "\0", text] {
        let found = fault(of: text + extra, as: claims.kind, by: authority())
        #expect(found == .foreign || found == .forged)
      }
    }
  }

  @Test func `refuses a token with any other character at any place`() {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    for (claims, text) in Self.golden {
      let original = Array(text.utf8)
      for place in original.indices {
        // Each bit of its value, and characters of no value.
        let value = alphabet.firstIndex(of: original[place]) ?? 0
        let others = (0..<6).map { alphabet[value ^ 1 << $0] } + [0, 0x20, 0x2b, 0x2f, 0x3d, 0x7f, 0x80, 0xff]
        for byte in others where byte != original[place] {
          var changed = original
          changed[place] = byte
          let found = fault(of: changed, as: claims.kind, at: issuedAt, by: authority())
          // The first 13 bytes select version, key and audience: other ones are another server's.
          #expect(found == .foreign || (found == .forged && place >= 5), "character \(place) = \(byte)")
          if place >= 8 + 18, alphabet.contains(byte), place < original.count - 1 { #expect(found == .forged) }
        }
      }
    }
  }

  @Test func `refuses a second text for the same bytes`() {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    var spare = 0
    for (client, unused) in [("abcd", 2), ("abc", 4), ("abcde", 0)] {
      let text = Array(authority().sign(Self.claims(client: client, scope: "")).utf8)
      guard unused > 0 else {
        #expect(text.count & 3 == 0)
        continue
      }
      for value in 1..<(1 << unused) {
        var other = text
        guard let last = alphabet.firstIndex(of: text[text.count - 1]) else {
          Issue.record("no base64url")
          return
        }
        other[text.count - 1] = alphabet[last | value]
        spare += 1
        #expect(fault(of: other, as: .access, at: issuedAt, by: authority()) == .foreign)
      }
      #expect(fault(of: text + [0x3d], as: .access, at: issuedAt, by: authority()) == .foreign)
    }
    #expect(spare == 3 + 15)
  }

  @Test func `a token is good for its own kind only`() {
    for (claims, text) in Self.golden {
      for kind in SignedTokenKind.allCases {
        #expect(fault(of: text, as: kind, by: authority()) == (kind == claims.kind ? nil : .wrongKind))
        // With the prefix of the other kind.
        let dressed = kind.prefix + text.dropFirst(8)
        #expect(fault(of: dressed, as: kind, by: authority()) == (kind == claims.kind ? nil : .forged))
        #expect(fault(of: dressed, as: claims.kind, by: authority()) == (kind == claims.kind ? nil : .forged))
      }
    }
  }

  @Test(arguments: ["", "Blnk_at_", "blnk_xt_", "blnk-at_", "blnk_at-", "blnk_AT_", "at_", "blnk_cc_", "blnk_rc_"])
  func `other prefixes are foreign`(prefix: String) {
    var token = ReferenceToken()
    token.prefix = prefix
    #expect(fault(of: token.text, by: authority()) == .foreign)
  }

  @Test func `refuses what another key, issuer, audience or version signed`() {
    func found(_ change: (inout ReferenceToken) -> Void) -> TokenFault? {
      var token = ReferenceToken()
      change(&token)
      return fault(of: token.text, by: authority())
    }
    #expect(found { _ in } == nil)
    #expect(found { $0.secret[31] ^= 1 } == .forged)
    #expect(found { $0.secret = [UInt8](repeating: 0, count: 32) } == .forged)
    #expect(found { $0.keyName = "k2" } == .foreign)
    #expect(found { $0.issuer = "https://gateway.example/" } == .foreign)
    #expect(found { $0.audience = "https://other.example" } == .foreign)
    // Issuer and audience joined in another way.
    #expect(found { ($0.issuer, $0.audience) = ("https://gateway.examplehttps://gateway.example", "") } == .foreign)
    for version in UInt8(0)..<16 where version != 2 { #expect(found { $0.version = version } == .foreign) }
    for kind in UInt8(0)..<4 where kind != 1 { #expect(found { $0.kind = kind } == .forged) }
  }

  /// Another program could use the same key.
  @Test func `refuses a payload of another form, even if the key has signed it`() {
    let access = ReferenceToken()
    var code = ReferenceToken()
    (code.prefix, code.kind) = ("blnk_ac_", 3)
    let digest = [UInt8](repeating: 7, count: 32)
    func found(_ token: ReferenceToken, _ payload: [UInt8]) -> TokenFault? {
      fault(of: token.text(ofPayload: payload), as: token.kind == 3 ? .code : .access, by: authority())
    }
    #expect(found(access, access.payload) == nil)
    #expect(found(code, code.payload + digest + [0]) == nil)
    #expect(found(code, code.payload + digest + [1] + digest) == nil)
    for extra in [[0], digest + [0], digest + [1] + digest] {
      #expect(found(access, access.payload + extra) == .forged)
    }
    for binding in [[], [0], digest, digest + [1], digest + [2], digest + [0, 0], digest + [0] + digest] {
      #expect(found(code, code.payload + binding) == .forged)
    }
    #expect(found(code, code.payload + digest + [2] + digest) == .forged)
    #expect(found(code, code.payload + digest + [1] + digest + [0]) == .forged)
    // Lengths of client and scope that lead elsewhere, sets with unknown scopes, and other flags.
    var text = access
    text.scope = Array("proxy:write proxy:read".utf8)
    #expect(found(text, text.payload) == nil)
    let (clientLength, scope) = (45, 46 + access.client.count)
    for (token, changes) in [
      (access, [(clientLength, 0), (clientLength, 5), (clientLength, 255), (scope, 32), (scope, 255)]),
      (text, [(clientLength, 0), (clientLength, 5), (clientLength, 255), (scope, 1), (scope, 255), (scope + 1, 0)]),
      (access, [(0, 0x21), (0, 0x2d)]), (text, [(0, 0x25), (0, 0x29)]),
    ] {
      for (place, byte) in changes {
        var payload = token.payload
        payload[place] = UInt8(byte)
        #expect(found(token, payload) == .forged, "byte \(place) = \(byte)")
      }
    }
    // Cut ones, of any length that a token may have.
    for token in [access, text] {
      for count in 35..<token.payload.count {
        #expect(found(token, Array(token.payload[..<count])) == .forged)
      }
    }
  }

  @Test func `any gateway with the key accepts a token, whatever its other keys and their order`() {
    let (old, new) = (("k1", "0123456789abcdef0123456789abcdef"), ("k2", "another-key-with-more-than-32-bytes"))
    let (before, during, after, done) = (
      authority(keys: [old]), authority(keys: [old, new]), authority(keys: [new, old]), authority(keys: [new])
    )
    let claims = Self.claims()
    let (oldToken, newToken) = (before.sign(claims), done.sign(claims))
    // The first key signs.
    #expect(during.sign(claims) == oldToken && after.sign(claims) == newToken && oldToken != newToken)
    for gateway in [during, after] {
      #expect(fault(of: oldToken, by: gateway) == nil && fault(of: newToken, by: gateway) == nil)
    }
    #expect(fault(of: newToken, by: before) == .foreign)
    #expect(fault(of: oldToken, by: done) == .foreign)
    // The same name with another secret.
    #expect(fault(of: oldToken, by: authority(keys: [("k1", new.1)])) == .forged)
    // One key's token that claims to be the other's.
    var confused = ReferenceToken()
    confused.keyName = "k2"
    #expect(fault(of: confused.text, by: during) == .forged)
  }

  @Test func `names of keys clash if tokens do not tell them apart`() {
    let secret = [UInt8](repeating: 1, count: 32)
    let key = TokenKey(name: "k1", secret: secret.span)
    #expect(key.clashes(with: TokenKey(name: "k1", secret: Array(1...40).span)))
    #expect(!key.clashes(with: TokenKey(name: "k2", secret: secret.span)))
  }

  @Test func `is valid up to its last second, and from ten seconds ahead`() {
    let text = authority().sign(Self.claims(lifetime: 60))
    let faults: [(Int64, TokenFault?)] = [
      (issuedAt - 3_600, .notYetValid), (issuedAt - 11, .notYetValid), (issuedAt - 10, nil), (issuedAt, nil),
      (issuedAt + 59, nil), (issuedAt + 60, .expired), (issuedAt + 61, .expired), (.max - 10, .expired),
      (0, .notYetValid), (-1, .notYetValid),
    ]
    for (now, expected) in faults { #expect(fault(of: text, at: now, by: authority()) == expected, "\(now)") }
    // A forged one is forged, whatever its times.
    var token = ReferenceToken()
    token.secret[0] ^= 1
    for now in [issuedAt - 3_600, issuedAt + 3_600] {
      #expect(fault(of: token.text, at: now, by: authority()) == .forged)
    }
  }

  @Test func `the greatest times do not overflow`() {
    var token = ReferenceToken()
    (token.issuedAt, token.lifetime) = (.max, .max)
    #expect(fault(of: token.text, at: Int64(UInt32.max), by: authority()) == nil)
    #expect(fault(of: token.text, at: 2 * Int64(UInt32.max) - 1, by: authority()) == nil)
    #expect(fault(of: token.text, at: 2 * Int64(UInt32.max), by: authority()) == .expired)
    token.lifetime = 0
    #expect(fault(of: token.text, at: Int64(UInt32.max), by: authority()) == .expired)
  }

  @Test func `random texts are foreign or forged`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SeededGenerator(state: seed)
    for _ in 0..<2_000 {
      var payload = (0..<Int.random(in: 0...721, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      // Half of them claim to be from here.
      if Bool.random(using: &generator) {
        payload.replaceSubrange(..<min(13, payload.count), with: ReferenceToken().payload[..<13])
      }
      let text = "blnk_at_" + String(decoding: referenceBase64URL(payload), as: UTF8.self)
      let found = fault(of: text, by: authority())
      #expect(found == .foreign || found == .forged, "seed \(seed)")
    }
  }

  @Test func `ids are 24 hexadecimal digits in lower case`() {
    #expect(Self.id.hex == "000102030405060708090a0b" && TokenID(hex: Self.id.hex) == Self.id)
    #expect(TokenID(high: 0, low: 0).hex == String(repeating: "0", count: 24))
    #expect(Self.grant.prefix == 0xa0a1_a2a3)
    for text in [
      "", "000102030405060708090a0", "000102030405060708090a0b0", "000102030405060708090A0B",
      "00010203040506070809 a0b", "+00102030405060708090a0b", "0x0102030405060708090a0b",
    ] {
      #expect(TokenID(hex: text) == nil)
    }
    #expect(Set((0..<1_000).map { _ in TokenID.random() }).count == 1_000)
  }
}

extension [UInt8] {
  init(copying span: Span<UInt8>) { self = span.indices.map { span[$0] } }
}
