import HTTP1

/// The one b64token that a head presents as `Authorization: Bearer …` (RFC 6750 §2.1) or, where that is taken, as
/// `X-Blnk-Key`.
func presentedToken(
  _ head: borrowing RequestHead, _ bytes: Span<UInt8>, takesCoreKey: Bool
) throws(Rejection) -> Range<Int> {
  var credentials: FieldLine?
  for index in head.fields.indices {
    switch head.fields[index].kind {
    case .authorization: break
    case .coreKey where takesCoreKey: break
    default: continue
    }
    // Two readers could each take another one.
    guard credentials == nil else { throw .authorizationMalformed }
    credentials = head.fields[index]
  }
  guard let credentials else { throw .tokenRequired }
  guard !hasTokenInQuery(head.query, bytes) else { throw .authorizationMalformed }
  if case .authorization = credentials.kind { return try bearerToken(in: credentials.value, bytes) }
  guard bytes.isToken68(credentials.value) else { throw .authorizationMalformed }
  return credentials.value
}

private let accessTokenName = ShortText("access_token")

/// Whether the query holds an `access_token`, however it is written.
///
/// RFC 6750 §3.1: a token that comes in more than one way makes the request invalid. It must not be in a query at all
/// (RFC 9700 §4.3.2), and Core would log it.
private func hasTokenInQuery(_ query: Range<Int>?, _ bytes: Span<UInt8>) -> Bool {
  guard let query else { return false }
  var parameters = QueryParameters(query)
  while let parameter = parameters.next(bytes) {
    guard case .different = QueryParameters.match(bytes, key: parameter.key, accessTokenName) else { return true }
  }
  return false
}

/// RFC 9110 §11.4: scheme, one or more spaces, token. Credentials of another scheme are none of ours.
private func bearerToken(in credentials: Range<Int>, _ bytes: Span<UInt8>) throws(Rejection) -> Range<Int> {
  var index = credentials.lowerBound
  while index < credentials.upperBound, isTokenCharacter(bytes[index]) { index += 1 }
  let scheme = credentials.lowerBound..<index
  guard !scheme.isEmpty, index == credentials.upperBound || bytes[index] == UInt8(ascii: " ") else {
    throw .authorizationMalformed
  }
  guard isBearer(bytes, scheme) else { throw .tokenRequired }
  while index < credentials.upperBound, bytes[index] == UInt8(ascii: " ") { index += 1 }
  let token = index..<credentials.upperBound
  guard bytes.isToken68(token) else { throw .authorizationMalformed }
  return token
}

/// RFC 9110 §11.1: schemes are compared without case.
private func isBearer(_ bytes: Span<UInt8>, _ scheme: Range<Int>) -> Bool {
  guard scheme.count == 6 else { return false }
  var index = scheme.lowerBound
  for letter in "bearer".utf8 {
    guard bytes[index] | 0x20 == letter else { return false }
    index += 1
  }
  return true
}

/// RFC 9110 §5.6.2.
private func isTokenCharacter(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"),
    UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "^"), UInt8(ascii: "`"), UInt8(ascii: "|"):
    true
  default: isUnreserved(byte)
  }
}
