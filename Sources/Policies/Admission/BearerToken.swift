import HTTP1

/// The one b64token that a head presents as `Authorization: Bearer …` (RFC 6750 §2.1) or, where that is taken, as
/// `X-Blnk-Key`.
///
/// RFC 6750 §3.1: a token that comes in more than one way makes the request invalid. It must not be in a query at all
/// (RFC 9700 §4.3.2), and Core would log it.
func presentedToken(
  _ head: borrowing RequestHead, _ bytes: Span<UInt8>, hasTokenInQuery: Bool, takesCoreKey: Bool
) throws(Rejection) -> Range<Int> {
  var credentials: Int?
  for index in head.fields.indices {
    switch head.fields[index].kind {
    case .authorization: break
    case .coreKey where takesCoreKey: break
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
  guard bytes.isToken68(value) else { throw .authorizationMalformed }
  return value
}

private let bearer = ShortText("bearer")

/// RFC 9110 §11.4: scheme, one or more spaces, token. Credentials of another scheme are none of ours.
private func bearerToken(in credentials: Range<Int>, _ bytes: Span<UInt8>) throws(Rejection) -> Range<Int> {
  var index = bytes.endOfToken(in: credentials)
  let scheme = credentials.lowerBound..<index
  guard !scheme.isEmpty, index == credentials.upperBound || bytes[index] == UInt8(ascii: " ") else {
    throw .authorizationMalformed
  }
  // RFC 9110 §11.1: schemes are compared without case.
  guard bytes.has(letters: bearer, inAnyCaseAt: scheme) else { throw .tokenRequired }
  while index < credentials.upperBound, bytes[index] == UInt8(ascii: " ") { index += 1 }
  let token = index..<credentials.upperBound
  guard bytes.isToken68(token) else { throw .authorizationMalformed }
  return token
}
