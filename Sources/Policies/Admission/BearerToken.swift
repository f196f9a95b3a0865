import HTTP1

/// Finds the token in `Authorization: Bearer …` (RFC 6750 §2.1) or in `X-Blnk-Key`, the only field that Blnk's SDKs can
/// send. The caller checks that it is a b64token.
///
/// RFC 6750 §3.1: a request that presents its token in more than one way is invalid. A token must never be in the query
/// (RFC 9700 §4.3.2), where Core would log it.
///
/// - Parameter coreKeyConflicts: whether `X-Blnk-Key` next to `Authorization` is a second credential; if not, it is
///   ignored.
@_optimize(speed)
func presentedToken(
  _ head: borrowing RequestHead, _ bytes: Span<UInt8>, hasTokenInQuery: Bool, coreKeyConflicts: Bool
) throws(Rejection) -> Range<Int> {
  var credentials: Int?
  for index in head.fields.indices {
    switch head.fields[index].kind {
    case .authorization: break
    case .coreKey where coreKeyConflicts || !head.has(.authorization): break
    default: continue
    }
    // Different parsers could pick different ones.
    guard credentials == nil else { throw .authorizationMalformed }
    credentials = index
  }
  guard let credentials else { throw .tokenRequired }
  guard !hasTokenInQuery else { throw .authorizationMalformed }
  let value = head.fields[credentials].value
  if case .authorization = head.fields[credentials].kind { return try bearerToken(in: value, bytes) }
  return value
}

/// The bits that lowercase six ASCII letters (0x20 each): schemes are case-insensitive (RFC 9110 §11.1).
private var lowercaseBits: UInt64 { UInt64(packing: " ", " ", " ", " ", " ", " ") }

/// RFC 9110 §11.4: scheme, one or more spaces, token.
private func bearerToken(in credentials: Range<Int>, _ bytes: Span<UInt8>) throws(Rejection) -> Range<Int> {
  let start = bytes.packed(credentials) & .mask(bytes: 7)
  guard start | lowercaseBits == UInt64(packing: "b", "e", "a", "r", "e", "r", " ") else {
    throw rejection(of: credentials, bytes)
  }
  var index = credentials.lowerBound + 7
  while index < credentials.upperBound, bytes[index] == UInt8(ascii: " ") { index += 1 }
  return index..<credentials.upperBound
}

/// Another scheme counts as no token. `Bearer` without a token, and credentials without a scheme, are malformed.
private func rejection(of credentials: Range<Int>, _ bytes: Span<UInt8>) -> Rejection {
  let end = bytes.endOfToken(in: credentials)
  guard end > credentials.lowerBound, end == credentials.upperBound || bytes[end] == UInt8(ascii: " ") else {
    return .authorizationMalformed
  }
  let isBearer = bytes.packed(credentials) | lowercaseBits == UInt64(packing: "b", "e", "a", "r", "e", "r")
  return isBearer ? .authorizationMalformed : .tokenRequired
}

extension UInt64 {
  /// At most eight ASCII characters, the first in the lowest byte, as `Span.packed` gives them. A constant expression,
  /// so that comparing with it needs no lookup.
  @inline(__always)
  init(
    packing first: Unicode.Scalar, _ second: Unicode.Scalar = "\0", _ third: Unicode.Scalar = "\0",
    _ fourth: Unicode.Scalar = "\0", _ fifth: Unicode.Scalar = "\0", _ sixth: Unicode.Scalar = "\0",
    _ seventh: Unicode.Scalar = "\0", _ eighth: Unicode.Scalar = "\0"
  ) {
    let low = first.value | second.value << 8 | third.value << 16 | fourth.value << 24
    let high = fifth.value | sixth.value << 8 | seventh.value << 16 | eighth.value << 24
    self = UInt64(low) | UInt64(high) << 32
  }
}
