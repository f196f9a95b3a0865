package import HTTP1

/// One method on one path pattern: what it asks for, and how records name it.
package struct Route: Sendable {
  /// Never HEAD, which takes the route of GET.
  package let method: Method
  /// As the operator writes it, such as `/proxy/balances/:id`: ready for logs and metrics.
  package let pattern: [UInt8]
  /// Such as `balances.get`: ready for logs and metrics.
  package let operation: [UInt8]
  package let scope: Scope
  /// The scope's place in the table's `scopes`, 0 to 63.
  let scopeBit: Int
  /// Whether Core may change something: instances under maintenance refuse it, and it is never sent twice.
  package let isWrite: Bool
  /// Whether it has `times`: a byte that is read with the one before it.
  let hasOwnTimes: Bool
  /// nil: the gateway's own bound.
  package let bodyBytesMax: Int?
  /// nil: the instance's.
  package let times: RouteTimes?
}

/// How long an instance may take for a route, instead of its own `timeouts`.
package struct RouteTimes: Equatable, Sendable {
  /// nil: the instance's.
  package let firstByteMilliseconds: Int?
  /// nil: the instance's.
  package let totalMilliseconds: Int?

  package init(firstByteMilliseconds: Int? = nil, totalMilliseconds: Int? = nil) {
    self.firstByteMilliseconds = firstByteMilliseconds
    self.totalMilliseconds = totalMilliseconds
  }
}

/// A route before the table gives it its place.
struct RouteDefinition {
  let pattern: RoutePattern
  let method: Method
  let scope: Scope
  let operation: String
  var bodyBytesMax: Int?
  var times: RouteTimes?

  /// A GET reads. Anything else writes, unless its scope says that it reads (`POST /proxy/balances/filter`).
  var isWrite: Bool {
    scope == .write || method != .get && scope != .read
  }
}

/// The path of a route: `/proxy`, then segments that are literal or, as `:name`, any one non-empty segment.
struct RoutePattern: Hashable {
  enum Segment: Hashable {
    case literal(String)
    case parameter
  }

  static let segmentsMax = 32
  static let rule =
    "must be /proxy followed by 1 to 32 segments, each of letters, digits and -._~!$&'()*+,=:@ or a :parameter"

  let text: String
  /// Behind `/proxy`.
  let segments: [Segment]

  /// nil for text that breaks the rule.
  init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count >= 3, parts[0].isEmpty, parts[1] == "proxy" else { return nil }
    let segments = parts.dropFirst(2).compactMap(segment)
    guard segments.count == parts.count - 2, segments.count <= Self.segmentsMax else { return nil }
    self.text = text
    self.segments = segments
  }
}

private func segment(_ text: Substring) -> RoutePattern.Segment? {
  if text.first == ":" {
    let name = text.dropFirst().utf8
    let isName = !name.isEmpty && name.allSatisfy { byte in isAlphanumeric(byte) || byte == UInt8(ascii: "_") }
    return isName ? .parameter : nil
  }
  let isLiteral = !text.isEmpty && text != "." && text != ".." && text.utf8.allSatisfy(isLiteralByte)
  return isLiteral ? .literal(String(text)) : nil
}

/// RFC 3986 §3.3 pchar without escapes, which a request could write in two ways, and without `;`.
private func isLiteralByte(_ byte: UInt8) -> Bool {
  isUnreserved(byte) || "!$&'()*+,=:@".utf8.contains(byte)
}
