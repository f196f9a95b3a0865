/// The field names that the gateway treats specially, found once while parsing, ASCII case ignored.
///
/// Names that carry credentials, origins or ids are also found with `_` or `.` in place of `-`, since some servers
/// behind the gateway take these spellings for the same field.
package enum FieldName: UInt8, Sendable, CaseIterable {
  case other
  case host, connection, keepAlive, te, trailer, transferEncoding, upgrade, contentLength, expect
  case authorization
  /// `X-Blnk-Key`.
  case coreKey
  /// `Proxy` and every `Proxy-…`.
  case proxy
  /// `Forwarded`, `X-Real-IP` and every `X-Forwarded…`.
  case forwarding
  case idempotencyKey
  /// `X-Request-Id`.
  case requestID
  /// `X-Rate-Limit-Request-…`: Core shows the address of its caller, which is the gateway.
  case callerAddress
  case traceparent, tracestate, via, date, server, location, contentType, retryAfter, wwwAuthenticate
}

/// The table behind `FieldName`: known names by length, and families by prefix.
struct FieldNameTable: Sendable {
  private struct Entry {
    let name: PackedName
    let kind: FieldName
    let takesAnySeparator: Bool
  }

  // Inline arrays, since looking up in one counts no reference.
  private let entries: InlineArray<25, Entry>
  /// The entries of length n are `firstOfLength[n]..<firstOfLength[n + 1]`.
  private let firstOfLength: InlineArray<26, Int>
  private let xForwarded = NamePrefix("x-forwarded")
  private let proxy = NamePrefix("proxy-")
  /// As much of `x-rate-limit-request-` as a prefix may have.
  private let xRateLimitRequest = NamePrefix("x-rate-limit-req")

  static let shared = FieldNameTable()

  private init() {
    let exact: [(String, FieldName)] = [
      ("host", .host), ("connection", .connection), ("keep-alive", .keepAlive), ("te", .te), ("trailer", .trailer),
      ("transfer-encoding", .transferEncoding), ("upgrade", .upgrade), ("content-length", .contentLength),
      ("expect", .expect), ("via", .via), ("date", .date), ("server", .server), ("location", .location),
      ("content-type", .contentType), ("retry-after", .retryAfter), ("www-authenticate", .wwwAuthenticate),
    ]
    let anySeparator: [(String, FieldName)] = [
      ("authorization", .authorization), ("x-blnk-key", .coreKey), ("proxy", .proxy), ("forwarded", .forwarding),
      ("x-real-ip", .forwarding), ("idempotency-key", .idempotencyKey), ("x-request-id", .requestID),
      ("traceparent", .traceparent), ("tracestate", .tracestate),
    ]
    let all =
      exact.map { Entry(name: PackedName($0), kind: $1, takesAnySeparator: false) }
      + anySeparator.map { Entry(name: PackedName($0), kind: $1, takesAnySeparator: true) }
    let sorted = all.sorted { $0.name.count < $1.name.count }
    precondition(sorted.count == 25)
    entries = InlineArray { index in sorted[index] }
    firstOfLength = InlineArray { length in sorted.firstIndex { $0.name.count >= length } ?? sorted.count }
  }

  func kind(of name: PackedName) -> FieldName {
    if xForwarded.begins(name) { return .forwarding }
    if proxy.begins(name) { return .proxy }
    if xRateLimitRequest.begins(name) { return .callerAddress }
    guard name.count <= PackedName.bytesMax else { return .other }
    for index in firstOfLength[name.count]..<firstOfLength[name.count + 1] {
      guard name.hasSameBytes(as: entries[index].name) else { continue }
      return entries[index].takesAnySeparator || !name.hasOtherSeparators ? entries[index].kind : .other
    }
    return .other
  }
}
