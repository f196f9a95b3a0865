/// A text that has the form of a signed token. Anyone can write such a text: only `TokenAuthority.verify` tells whether
/// a gateway has signed it.
package struct SignedTokenForm: Sendable {
  package let kind: SignedTokenKind
  /// The token ends there, even if more characters of its alphabet follow.
  package let characterCount: Int

  /// Tokens were not issued before: 2020-09-13.
  private static let issuedAtMin: UInt32 = 1_600_000_000
  /// The longest that `refresh_token_s` may be.
  private static let lifetimeSecondsMax: UInt32 = 31_536_000

  /// nil: no token begins at the start of `text`.
  package init?(_ text: Span<UInt8>) {
    let prefixBytes = TokenLayout.prefixBytes
    guard text.count > prefixBytes, let kind = TokenAuthority.kind(ofPrefix: text.extracting(first: prefixBytes)),
      // The first six bits are the version and the flags.
      (UInt8(ascii: "I")...UInt8(ascii: "L")).contains(text[prefixBytes])
    else { return nil }
    let rest = text.extracting(droppingFirst: prefixBytes)
    var run = 0
    while run < min(rest.count, TokenAuthority.tokenCharactersMax - prefixBytes), Base64URL.isCharacter(rest[run]) {
      run += 1
    }
    var bytes = TokenLayout.Bytes(repeating: 0)
    var output = bytes.mutableSpan
    // Whole groups only; what is left out is at most two bytes of the code at the end.
    guard Base64URL.decode(rest.extracting(first: run & ~3), into: &output),
      let end = Self.payloadEnd(bytes.span.extracting(first: run / 4 * 3), kind)
    else { return nil }
    characterCount = prefixBytes + ((end + TokenLayout.codeBytes) * 4 + 2) / 3
    guard characterCount <= prefixBytes + run else { return nil }
    self.kind = kind
  }

  /// Where the code that authenticates a token begins; nil: the bytes are not those of a token.
  private static func payloadEnd(_ bytes: Span<UInt8>, _ kind: SignedTokenKind) -> Int? {
    guard bytes.count > TokenLayout.payloadBytesMin, bytes[0] >> 4 == TokenLayout.version,
      bytes[0] & TokenLayout.kindBits == kind.rawValue, number(bytes, at: 13) >= issuedAtMin,
      number(bytes, at: 17) <= lifetimeSecondsMax
    else { return nil }
    let start = TokenLayout.fixedBytes + (bytes[0] & TokenLayout.hasGrant == 0 ? 0 : TokenID.byteCount)
    guard let client = text(bytes, at: start + 1, count: Int(bytes[start])), client.count > 0,
      client.count <= TokenClaims.clientBytesMax, client.upperBound + 1 < bytes.count
    else { return nil }
    var end = client.upperBound + 1
    if bytes[0] & TokenLayout.hasScopeText == 0 {
      guard Int(bytes[end - 1]) < KnownScopes.texts.count else { return nil }
    } else {
      let count = Int(bytes[end - 1]) << 8 | Int(bytes[end])
      guard count <= TokenClaims.scopeBytesMax, let scope = text(bytes, at: end + 1, count: count) else { return nil }
      end = scope.upperBound
    }
    guard kind == .code else { return end }
    guard end + 32 < bytes.count, bytes[end + 32] <= 1 else { return nil }
    return end + 33 + (bytes[end + 32] == 1 ? 32 : 0)
  }

  /// The range of a text; nil: it is not whole, or not printable ASCII.
  private static func text(_ bytes: Span<UInt8>, at start: Int, count: Int) -> Range<Int>? {
    guard start + count <= bytes.count else { return nil }
    for index in start..<start + count where !(0x20...0x7e).contains(bytes[index]) { return nil }
    return start..<start + count
  }

  private static func number(_ bytes: Span<UInt8>, at offset: Int) -> UInt32 {
    (0..<4).reduce(0) { number, index in number << 8 | UInt32(bytes[offset + index]) }
  }
}
