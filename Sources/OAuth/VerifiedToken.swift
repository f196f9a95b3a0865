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
  private var bytes = TokenLayout.Bytes(repeating: 0)
  private var clientRange = 0..<0
  /// Empty if `knownScopes` has the scope.
  private var scopeRange = 0..<0
  private var knownScopes: Int?
  // Stored, because a getter gets a copy of all bytes: 100 instructions.
  package private(set) var id = TokenID(high: 0, low: 0)
  package private(set) var grant = TokenID(high: 0, low: 0)
  package private(set) var issuedAt: Int64 = 0
  package private(set) var expiresAt: Int64 = 0

  fileprivate init() {}

  fileprivate mutating func verify(
    _ text: Span<UInt8>, by authority: borrowing TokenAuthority, as kind: SignedTokenKind, at now: Int64?
  ) throws(TokenFault) {
    let prefixBytes = TokenLayout.prefixBytes
    guard text.count > prefixBytes, text.count <= TokenAuthority.tokenCharactersMax,
      let prefixed = TokenAuthority.kind(ofPrefix: text.extracting(first: prefixBytes)),
      let count = Base64URL.byteCount(text.count - prefixBytes),
      count >= TokenLayout.payloadBytesMin + TokenLayout.codeBytes
    else { throw .foreign }
    var output = bytes.mutableSpan
    guard Base64URL.decode(text.extracting(droppingFirst: prefixBytes), into: &output) else { throw .foreign }
    let payloadCount = count - TokenLayout.codeBytes
    guard bytes[0] >> 4 == TokenLayout.version, bytes.number(at: 5) == authority.audience,
      let key = authority.keyIndex(bytes.number(at: 1))
    else { throw .foreign }
    let expected = authority.code(of: bytes.span.extracting(first: payloadCount), keyIndex: key)
    guard expected == Digest(bytes.span, at: payloadCount) else { throw .forged }
    // From here on, the bytes are those that `sign` wrote.
    guard bytes[0] & TokenLayout.kindBits == prefixed.rawValue else { throw .forged }
    id = TokenID(high: bytes.number(at: 21), low: bytes.number(at: 29))
    try findFields(payloadCount, as: prefixed)
    guard prefixed == kind else { throw .wrongKind }
    issuedAt = Int64(bytes.number(at: 13) as UInt32)
    expiresAt = issuedAt + Int64(bytes.number(at: 17) as UInt32)
    guard let now else { return }
    guard now < expiresAt else { throw .expired }
    guard issuedAt <= now + VerifiedToken.clockSkewSeconds else { throw .notYetValid }
  }

  /// A program that signs tokens of another form under this key must not make this one trap.
  @inline(__always)
  private mutating func findFields(_ payloadCount: Int, as kind: SignedTokenKind) throws(TokenFault) {
    var start = TokenLayout.fixedBytes
    if bytes[0] & TokenLayout.hasGrant == 0 {
      grant = id
    } else {
      grant = TokenID(high: bytes.number(at: start), low: bytes.number(at: start + 8))
      start += TokenID.byteCount
    }
    clientRange = start + 1..<start + 1 + Int(bytes[start])
    let afterClient = clientRange.upperBound
    guard afterClient < payloadCount else { throw .forged }
    if bytes[0] & TokenLayout.hasScopeText == 0 {
      guard Int(bytes[afterClient]) < KnownScopes.texts.count else { throw .forged }
      knownScopes = Int(bytes[afterClient])
      scopeRange = afterClient + 1..<afterClient + 1
    } else {
      let count = Int(bytes[afterClient]) << 8 | Int(bytes[afterClient + 1])
      scopeRange = afterClient + 2..<afterClient + 2 + count
    }
    let payload = bytes.span.extracting(first: payloadCount)
    guard TokenAuthority.isComplete(payload, scopeRange.upperBound, as: kind) else { throw .forged }
  }

  /// How far ahead another gateway's clock may be.
  package static let clockSkewSeconds: Int64 = 10

  /// Mutating, like `withScope`, only because of a borrowed token the compiler copies all bytes: 100 instructions.
  @inline(__always)
  package mutating func withClient<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
    body(bytes.span.extracting(clientRange))
  }

  /// - Parameter body: gets scope tokens, separated by single spaces.
  @inline(__always)
  package mutating func withScope<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
    if let knownScopes {
      let text = KnownScopes.texts[knownScopes]
      return body(text.span)
    }
    return body(bytes.span.extracting(scopeRange))
  }

  package var client: String { text(clientRange) }

  package var scope: String {
    if let knownScopes { return String(decoding: KnownScopes.texts[knownScopes], as: UTF8.self) }
    return text(scopeRange)
  }

  private func text(_ range: Range<Int>) -> String {
    var text: [UInt8] = []
    for index in range { text.append(bytes[index]) }
    return String(decoding: text, as: UTF8.self)
  }

  /// What it is bound to, if it is a code.
  package var code: CodeBinding? {
    guard bytes[0] & TokenLayout.kindBits == SignedTokenKind.code.rawValue else { return nil }
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
    var token = VerifiedToken()
    try token.verify(text, by: self, as: kind, at: now)
    return token
  }

  /// The same, without the copies of the token that returning it takes: 500 instructions.
  package func withVerified<Result>(
    _ text: Span<UInt8>, as kind: SignedTokenKind, at now: Int64?, _ body: (inout VerifiedToken) -> Result
  ) throws(TokenFault) -> Result {
    var token = VerifiedToken()
    try token.verify(text, by: self, as: kind, at: now)
    return body(&token)
  }

  /// Whether a payload ends where it should, after the fields that each kind has.
  fileprivate static func isComplete(_ payload: Span<UInt8>, _ end: Int, as kind: SignedTokenKind) -> Bool {
    switch kind {
    case .access, .refresh: end == payload.count
    case .code:
      end + 33 == payload.count && payload[end + 32] == 0 || end + 65 == payload.count && payload[end + 32] == 1
    }
  }

  /// The kind whose prefix this is.
  static func kind(ofPrefix prefix: Span<UInt8>) -> SignedTokenKind? {
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

extension TokenLayout.Bytes {
  /// A big-endian number: one load once compiled, if the offset is constant.
  @inline(__always)
  fileprivate func number<Number: FixedWidthInteger>(at offset: Int) -> Number {
    var value: Number = 0
    for index in 0..<Number.bitWidth / 8 { value = value << 8 | Number(truncatingIfNeeded: self[offset &+ index]) }
    return value
  }
}

extension Digest {
  /// From 32 of the bytes.
  @inline(__always)
  init(_ bytes: Span<UInt8>, at offset: Int = 0) {
    let bytes = bytes.extracting(offset..<offset &+ 32)
    self.init(words: (word(bytes, at: 0), word(bytes, at: 8), word(bytes, at: 16), word(bytes, at: 24)))
  }
}

/// Eight bytes as a big-endian number: one load once compiled.
@inline(__always)
private func word(_ bytes: Span<UInt8>, at offset: Int) -> UInt64 {
  var value: UInt64 = 0
  for index in 0..<8 { value = value << 8 | UInt64(bytes[offset &+ index]) }
  return value
}
