/// The field names that the gateway treats specially, found once while parsing, ASCII case ignored.
///
/// Names that carry credentials, origins or ids are also found with `_` or `.` in place of `-`, since some servers
/// behind the gateway take these spellings for the same field.
public enum FieldName: UInt8, Sendable, CaseIterable {
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

extension FieldName {
  init(_ name: PackedName) {
    self = Self.family(of: name) ?? Self.known(name)
  }

  @inline(__always)
  private static func family(of name: PackedName) -> FieldName? {
    if table.forwarded.begins(name) { return .forwarding }
    if table.proxy.begins(name) { return .proxy }
    return table.rateLimit.begins(name) ? .callerAddress : nil
  }

  @inline(__always)
  private static func known(_ name: PackedName) -> FieldName {
    guard name.count <= PackedName.bytesMax else { return .other }
    for index in table.firstOfLength[name.count]..<table.firstOfLength[name.count + 1] {
      guard name.hasSameBytes(as: table.names[index].name) else { continue }
      return table.names[index].takesAnySeparator || !name.hasOtherSeparators ? table.names[index].kind : .other
    }
    return .other
  }
}

/// Known names by length, and families by prefix.
///
/// In inline arrays, since looking up in one counts no reference, and in one constant: each is a call to look at.
private let table = FieldNameTable()

private struct FieldNameTable {
  struct Entry {
    let name: PackedName
    let kind: FieldName
    let takesAnySeparator: Bool
  }

  let names: InlineArray<25, Entry>
  /// The names of length n are `firstOfLength[n]..<firstOfLength[n + 1]`.
  let firstOfLength: InlineArray<26, Int>
  let forwarded = NamePrefix("x-forwarded")
  let proxy = NamePrefix("proxy-")
  /// As much of `x-rate-limit-request-` as a prefix may have.
  let rateLimit = NamePrefix("x-rate-limit-req")

  init() {
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
    names = InlineArray { index in sorted[index] }
    firstOfLength = InlineArray { length in sorted.firstIndex { $0.name.count >= length } ?? sorted.count }
  }
}
