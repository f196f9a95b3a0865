package import Digests

/// What a signed token is good for.
package enum SignedTokenKind: UInt8, Sendable, CaseIterable {
  case access = 1
  case refresh = 2
  case code = 3

  /// Scanners find tokens by it.
  package var prefix: String {
    switch self {
    case .access: "blnk_at_"
    case .refresh: "blnk_rt_"
    case .code: "blnk_ac_"
    }
  }
}

/// 96 random bits that identify a token or a grant, in revocations and logs.
package struct TokenID: Hashable, Sendable {
  static let byteCount = 12

  let high: UInt64
  let low: UInt32

  init(high: UInt64, low: UInt32) {
    self.high = high
    self.low = low
  }

  /// A new id, from the system's random numbers.
  package static func random() -> TokenID {
    TokenID(high: .random(in: .min ... .max), low: .random(in: .min ... .max))
  }

  /// Reads 24 hexadecimal digits in lower case; nil for any other text.
  package init?(hex text: String) {
    let digits = Array(text.utf8)
    guard digits.count == 2 * Self.byteCount, text == text.lowercased() else { return nil }
    var value: (high: UInt64, low: UInt32) = (0, 0)
    for (index, digit) in digits.enumerated() {
      guard let nibble = hexValue(digit) else { return nil }
      if index < 16 {
        value.high = value.high << 4 | UInt64(nibble)
      } else {
        value.low = value.low << 4 | UInt32(nibble)
      }
    }
    self.init(high: value.high, low: value.low)
  }

  /// 24 hexadecimal digits.
  package var hex: String {
    let (first, last) = (String(high, radix: 16), String(low, radix: 16))
    return String(repeating: "0", count: 16 - first.utf8.count) + first
      + String(repeating: "0", count: 8 - last.utf8.count) + last
  }

  /// The first four bytes, as logs show them.
  package var prefix: UInt32 { UInt32(truncatingIfNeeded: high >> 32) }
}

/// What an authorization code is bound to, besides its client (RFC 6749 §4.1.3, RFC 7636 §4.6).
package struct CodeBinding: Equatable, Sendable {
  /// The SHA-256 of the redirect URI.
  package let redirectURI: Digest
  /// The S256 challenge; nil: the authorization request had none.
  package let challenge: Digest?

  package init(redirectURI: Digest, challenge: Digest?) {
    self.redirectURI = redirectURI
    self.challenge = challenge
  }
}

/// The content of an access token, a refresh token or an authorization code.
package struct TokenClaims: Equatable, Sendable {
  package static let clientBytesMax = 64
  package static let scopeBytesMax = 512

  package let kind: SignedTokenKind
  package let id: TokenID
  /// What all tokens of one code share, so that they can be revoked together. The token's own id if there was no code.
  package let grant: TokenID
  /// At most `clientBytesMax` bytes.
  package let client: String
  /// Scope tokens, separated by single spaces; at most `scopeBytesMax` bytes.
  package let scope: String
  /// Seconds since 1970, until the year 2106.
  package let issuedAt: Int64
  package let lifetimeSeconds: Int
  /// For codes only.
  package let code: CodeBinding?

  package init(
    kind: SignedTokenKind, id: TokenID, grant: TokenID, client: String, scope: String, issuedAt: Int64,
    lifetimeSeconds: Int, code: CodeBinding? = nil
  ) {
    precondition((code != nil) == (kind == .code))
    self.kind = kind
    self.id = id
    self.grant = grant
    self.client = client
    self.scope = scope
    self.issuedAt = issuedAt
    self.lifetimeSeconds = lifetimeSeconds
    self.code = code
  }
}

/// The bytes of a token before the code that authenticates them, all numbers in big-endian order:
///
///     0       version 2 in the upper four bits; `hasGrant`, `hasScopeText`; kind in the lower two bits
///     1..4    key number
///     5..12   issuer and audience
///     13..16  issued at, in seconds since 1970
///     17..20  lifetime in seconds
///     21..32  id
///     then    grant, with `hasGrant`
///     then    length of the client's name, then the name
///     then    `KnownScopes`; with `hasScopeText` length of the scope in two bytes, then the scope
///     codes   SHA-256 of the redirect URI; 0, or 1 and the challenge
///
/// Short, because SHA-256 takes 2,400 instructions for each block, and up to 55 bytes are one block: an access token
/// with known scopes for a client whose name has at most 20 bytes, or 8 if the token came from a code.
enum TokenLayout {
  static let version: UInt8 = 2
  static let kindBits: UInt8 = 3
  /// The grant is not the token's own id.
  static let hasGrant: UInt8 = 8
  /// The scope is not one of `KnownScopes`.
  static let hasScopeText: UInt8 = 4
  /// Up to the id.
  static let fixedBytes = 33
  static let payloadBytesMin = fixedBytes + 1 + 1
  static let codeBytes = 32
  static let codeBindingBytesMax = 65
  static let payloadBytesMax =
    fixedBytes + TokenID.byteCount + 1 + TokenClaims.clientBytesMax + 2 + TokenClaims.scopeBytesMax
    + codeBindingBytesMax
  static let bytesMax = payloadBytesMax + codeBytes
  /// Room for `bytesMax` bytes.
  typealias Bytes = InlineArray<721, UInt8>
  static let prefixBytes = 8
}

/// The scopes that most tokens have: the gateway's own, and those of Blnk Cloud's apps. A set of them takes one byte.
enum KnownScopes {
  private static let names = ["proxy:read", "proxy:write", "*", "data:read", "data:write"]

  /// The scope of each set. The lowest bit of a set is the first name.
  static let texts: [[UInt8]] = (0..<1 << names.count).map { set in
    Array(names.indices.filter { set >> $0 & 1 == 1 }.map { names[$0] }.joined(separator: " ").utf8)
  }

  /// nil: the scope has another name, another order, or a name twice.
  static func set(of scope: [UInt8]) -> UInt8? { texts.firstIndex(of: scope).map(UInt8.init) }
}

extension TokenAuthority {
  /// The longest token that `sign` makes, in characters.
  package static let tokenCharactersMax = TokenLayout.prefixBytes + (TokenLayout.bytesMax * 4 + 2) / 3

  /// The text of a token: the prefix of its kind, and its bytes with an HMAC-SHA-256 in base64url.
  package func sign(_ claims: TokenClaims) -> String {
    let (client, scope) = (Array(claims.client.utf8), Array(claims.scope.utf8))
    precondition((1...TokenClaims.clientBytesMax).contains(client.count))
    precondition(scope.count <= TokenClaims.scopeBytesMax)
    let (hasGrant, scopes) = (claims.grant != claims.id, KnownScopes.set(of: scope))
    var bytes: [UInt8] = [TokenLayout.version << 4 | claims.kind.rawValue]
    if hasGrant { bytes[0] |= TokenLayout.hasGrant }
    if scopes == nil { bytes[0] |= TokenLayout.hasScopeText }
    append(signingKey.number, to: &bytes)
    append(audience, to: &bytes)
    // Clamped: a clock that is wrong by decades must not end the process.
    append(UInt32(clamping: claims.issuedAt), to: &bytes)
    append(UInt32(clamping: claims.lifetimeSeconds), to: &bytes)
    for id in hasGrant ? [claims.id, claims.grant] : [claims.id] {
      append(id.high, to: &bytes)
      append(id.low, to: &bytes)
    }
    bytes.append(UInt8(client.count))
    bytes += client
    if let scopes {
      bytes.append(scopes)
    } else {
      append(UInt16(scope.count), to: &bytes)
      bytes += scope
    }
    if let code = claims.code {
      append(code.redirectURI, to: &bytes)
      bytes.append(code.challenge == nil ? 0 : 1)
      if let challenge = code.challenge { append(challenge, to: &bytes) }
    }
    append(self.code(of: bytes.span, keyIndex: 0), to: &bytes)
    return claims.kind.prefix + String(decoding: Base64URL.encode(bytes.span), as: UTF8.self)
  }
}

private func append(_ number: some FixedWidthInteger, to bytes: inout [UInt8]) {
  for shift in stride(from: number.bitWidth - 8, through: 0, by: -8) {
    bytes.append(UInt8(truncatingIfNeeded: number >> shift))
  }
}

private func append(_ digest: Digest, to bytes: inout [UInt8]) {
  let digest = digest.bytes
  for index in digest.indices { bytes.append(digest[index]) }
}
