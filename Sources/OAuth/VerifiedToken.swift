import Digests

/// Why a text is not a token of this authority.
package enum TokenFault: Error, Equatable, Sendable {
  /// It has another form, another issuer or audience, or an unknown key. It may be a token of another server.
  case foreign
  /// It claims to be one, but the code that authenticates it is wrong.
  case forged
  /// It is one, of another kind.
  case wrongKind
  case expired
  /// It was issued more than `clockSkewSeconds` ahead of this machine's clock.
  case notYetValid
}

/// A token whose authentication code was verified. Holds its bytes in place, so that verifying allocates nothing.
package struct VerifiedToken: ~Copyable {
  private let bytes: TokenLayout.Bytes
  private let clientCount: Int
  private let scopeCount: Int
  package let issuedAt: Int64
  package let expiresAt: Int64

  /// How far ahead another gateway's clock may be.
  package static let clockSkewSeconds: Int64 = 10

  fileprivate init(bytes: TokenLayout.Bytes, clientCount: Int, scopeCount: Int) {
    self.bytes = bytes
    self.clientCount = clientCount
    self.scopeCount = scopeCount
    issuedAt = Int64(number(bytes.span, at: 13, count: 4))
    expiresAt = issuedAt + Int64(number(bytes.span, at: 17, count: 4))
  }

  package var id: TokenID { identifier(at: 21) }
  package var grant: TokenID { identifier(at: 33) }

  private func identifier(at offset: Int) -> TokenID {
    let bytes = bytes.span
    return TokenID(
      high: number(bytes, at: offset, count: 8),
      low: UInt32(truncatingIfNeeded: number(bytes, at: offset + 8, count: 4)))
  }

  package func withClient<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
    body(bytes.span.extracting(clientRange))
  }

  /// - Parameter body: gets scope tokens, separated by single spaces.
  package func withScope<Result>(_ body: (Span<UInt8>) -> Result) -> Result { body(bytes.span.extracting(scopeRange)) }

  private var clientRange: Range<Int> { TokenLayout.fixedBytes..<TokenLayout.fixedBytes + clientCount }

  private var scopeRange: Range<Int> {
    let start = clientRange.upperBound + 2
    return start..<start + scopeCount
  }

  package var client: String { text(clientRange) }
  package var scope: String { text(scopeRange) }

  private func text(_ range: Range<Int>) -> String {
    var text: [UInt8] = []
    for index in range { text.append(bytes[index]) }
    return String(decoding: text, as: UTF8.self)
  }

  /// What it is bound to, if it is a code.
  package var code: CodeBinding? {
    guard bytes[0] & 15 == SignedTokenKind.code.rawValue else { return nil }
    let start = scopeRange.upperBound
    let challenge = bytes[start + 32] == 1 ? Digest(bytes.span, at: start + 33) : nil
    return CodeBinding(redirectURI: Digest(bytes.span, at: start), challenge: challenge)
  }
}

extension TokenAuthority {
  /// Verifies the text of a token. Does not allocate.
  ///
  /// Compares the authentication code in constant time, and before it looks at anything else that an attacker without
  /// the key could have changed, except for what selects the key.
  ///
  /// - Parameter now: seconds since 1970; nil: it does not matter whether the token has expired.
  package func verify(
    _ text: Span<UInt8>, as kind: SignedTokenKind, at now: Int64?
  ) throws(TokenFault) -> VerifiedToken {
    let prefixBytes = TokenLayout.prefixBytes
    guard text.count > prefixBytes, text.count <= Self.tokenCharactersMax,
      let prefixed = Self.kind(ofPrefix: text.extracting(first: prefixBytes)),
      let count = Base64URL.byteCount(text.count - prefixBytes),
      count >= TokenLayout.fixedBytes + 1 + 2 + TokenLayout.codeBytes
    else { throw .foreign }
    var bytes = TokenLayout.Bytes(repeating: 0)
    var span = bytes.mutableSpan
    guard Base64URL.decode(text.extracting(droppingFirst: prefixBytes), into: &span) else { throw .foreign }
    let payload = bytes.span.extracting(first: count - TokenLayout.codeBytes)
    let keyNumber = UInt32(truncatingIfNeeded: number(payload, at: 1, count: 4))
    guard payload[0] >> 4 == TokenLayout.version, number(payload, at: 5, count: 8) == audience,
      let key = keyIndex(keyNumber)
    else { throw .foreign }
    guard code(of: payload, keyIndex: key) == Digest(bytes.span, at: payload.count) else { throw .forged }
    // From here on, the bytes are those that `sign` wrote.
    guard payload[0] & 15 == prefixed.rawValue else { throw .forged }
    let clientCount = Int(payload[45])
    let scopeStart = TokenLayout.fixedBytes + clientCount + 2
    // A program that signs tokens of another form under this key must not make this one trap.
    guard scopeStart <= payload.count else { throw .forged }
    let scopeCount = Int(number(payload, at: scopeStart - 2, count: 2))
    guard Self.isComplete(payload, scopeStart + scopeCount, as: prefixed) else { throw .forged }
    let token = VerifiedToken(bytes: bytes, clientCount: clientCount, scopeCount: scopeCount)
    guard prefixed == kind else { throw .wrongKind }
    guard let now else { return token }
    guard now < token.expiresAt else { throw .expired }
    guard token.issuedAt <= now + VerifiedToken.clockSkewSeconds else { throw .notYetValid }
    return token
  }

  /// Whether a payload ends where it should, after the fields that each kind has.
  private static func isComplete(_ payload: Span<UInt8>, _ end: Int, as kind: SignedTokenKind) -> Bool {
    switch kind {
    case .access, .refresh: end == payload.count
    case .code:
      end + 33 == payload.count && payload[end + 32] == 0 || end + 65 == payload.count && payload[end + 32] == 1
    }
  }

  /// The kind whose prefix this is.
  private static func kind(ofPrefix prefix: Span<UInt8>) -> SignedTokenKind? {
    let isShared =
      prefix[0] == UInt8(ascii: "b") && prefix[1] == UInt8(ascii: "l") && prefix[2] == UInt8(ascii: "n")
      && prefix[3] == UInt8(ascii: "k") && prefix[4] == UInt8(ascii: "_") && prefix[7] == UInt8(ascii: "_")
    guard isShared else { return nil }
    switch (prefix[5], prefix[6]) {
    case (UInt8(ascii: "a"), UInt8(ascii: "t")): return .access
    case (UInt8(ascii: "r"), UInt8(ascii: "t")): return .refresh
    case (UInt8(ascii: "a"), UInt8(ascii: "c")): return .code
    default: return nil
    }
  }
}

/// A big-endian number of at most eight bytes.
private func number(_ bytes: Span<UInt8>, at offset: Int, count: Int) -> UInt64 {
  var value: UInt64 = 0
  for index in offset..<offset + count { value = value << 8 | UInt64(bytes[index]) }
  return value
}

extension Digest {
  /// From its 32 bytes.
  init(_ bytes: Span<UInt8>, at offset: Int = 0) {
    self.init(
      words: (
        number(bytes, at: offset, count: 8), number(bytes, at: offset + 8, count: 8),
        number(bytes, at: offset + 16, count: 8), number(bytes, at: offset + 24, count: 8)
      ))
  }
}
