import HTTP1

/// What a head presents as a token, as `Authorization: Bearer …` (RFC 6750 §2.1) or as `X-Blnk-Key`, which is all that
/// Blnk's SDKs can send. Whether it is a b64token is still to be seen.
///
/// RFC 6750 §3.1: a token that comes in more than one way makes the request invalid. It must not be in a query at all
/// (RFC 9700 §4.3.2), and Core would log it.
///
/// - Parameter takesBoth: whether `X-Blnk-Key` counts beside an `Authorization` too; else it is passed over there.
func presentedToken(
  _ head: borrowing RequestHead, _ bytes: Span<UInt8>, hasTokenInQuery: Bool, takesBoth: Bool
) throws(Rejection) -> Range<Int> {
  var credentials: Int?
  for index in head.fields.indices {
    switch head.fields[index].kind {
    case .authorization: break
    case .coreKey where takesBoth || !head.has(.authorization): break
    default: continue
    }
    // Two readers could each take another one.
    guard credentials == nil else { throw .authorizationMalformed }
    credentials = index
  }
  guard let credentials else { throw .tokenRequired }
  guard !hasTokenInQuery else { throw .authorizationMalformed }
  let value = head.fields[credentials].value
  if case .authorization = head.fields[credentials].kind { return try bearerToken(in: value, bytes) }
  return value
}

/// Makes six letters small, as a space's bit does: schemes are compared without case (RFC 9110 §11.1).
private var smallLetters: UInt64 { UInt64(packing: " ", " ", " ", " ", " ", " ") }

/// RFC 9110 §11.4: scheme, one or more spaces, token.
private func bearerToken(in credentials: Range<Int>, _ bytes: Span<UInt8>) throws(Rejection) -> Range<Int> {
  let start = bytes.packed(credentials) & .mask(bytes: 7)
  guard start | smallLetters == UInt64(packing: "b", "e", "a", "r", "e", "r", " ") else {
    throw refusal(of: credentials, bytes)
  }
  var index = credentials.lowerBound + 7
  while index < credentials.upperBound, bytes[index] == UInt8(ascii: " ") { index += 1 }
  return index..<credentials.upperBound
}

/// Credentials of another scheme are none of ours; `Bearer` alone is malformed, and so is what has no scheme.
private func refusal(of credentials: Range<Int>, _ bytes: Span<UInt8>) -> Rejection {
  let end = bytes.endOfToken(in: credentials)
  guard end > credentials.lowerBound, end == credentials.upperBound || bytes[end] == UInt8(ascii: " ") else {
    return .authorizationMalformed
  }
  let isBearer = bytes.packed(credentials) | smallLetters == UInt64(packing: "b", "e", "a", "r", "e", "r")
  return isBearer ? .authorizationMalformed : .tokenRequired
}
