package import HTTP1

/// One method of one path pattern: the scope it requires, and its name in logs and metrics.
package struct Route: Sendable {
  /// Never HEAD, which uses the route of GET.
  package let method: Method
  /// For logs and metrics, as in the file: `/proxy/balances/:id`.
  package let pattern: [UInt8]
  /// For logs and metrics: `balances.get`.
  package let operation: [UInt8]
  package let scope: Scope
  /// The index of the scope in the table's `scopes`, 0 to 63.
  let scopeBit: Int
  /// Whether Core may change something: an instance in maintenance rejects it, and it is never sent twice.
  package let isWrite: Bool
  /// Whether `times` is not nil; adjacent to `isWrite`, so that one load reads both.
  let hasOwnTimes: Bool
  /// What an idempotency key means on it; without a journal, nothing.
  package let keyRule: KeyRule
  /// nil: the gateway's limit.
  package let bodyBytesMax: Int?
  /// nil: the instance's.
  package let times: RouteTimes?
}

/// A route's deadlines, which override the instance's `timeouts`.
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

/// A route as a file defines it, before it is in a table.
struct RouteDefinition {
  let pattern: RoutePattern
  let method: Method
  let scope: Scope
  let operation: String
  var bodyBytesMax: Int?
  var times: RouteTimes?
  /// nil: the file does not state one.
  var statedKeyRule: KeyRule?

  /// `proxy:write` makes a route a write, `proxy:read` a read (`POST /proxy/balances/filter`). With another scope, only
  /// GET is a read.
  var isWrite: Bool {
    scope == .write || method != .get && scope != .read
  }
}

/// The path of a route: `/proxy`, then segments that are literal or a `:name`, which matches any one non-empty segment.
struct RoutePattern: Hashable {
  enum Segment: Hashable {
    case literal(String)
    case parameter
  }

  static let segmentsMax = 32
  static let rule =
    "must be /proxy followed by 1 to 32 segments, each of letters, digits and -._~!$&'()*+,=:@ or a :parameter"

  let text: String
  /// The segments after `/proxy`.
  let segments: [Segment]

  /// nil for text that violates `rule`.
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

/// RFC 3986 §3.3 pchar without `;` and without escapes, which have more than one spelling.
private func isLiteralByte(_ byte: UInt8) -> Bool {
  isUnreserved(byte) || "!$&'()*+,=:@".utf8.contains(byte)
}
