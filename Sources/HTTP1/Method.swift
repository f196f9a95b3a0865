/// A request method; methods are case-sensitive (RFC 9110 §9.1).
package enum Method: UInt8, Sendable, CaseIterable {
  case get, head, post, put, delete, patch, options, trace, connect
  /// Any other token; its bytes are at `RequestHead.methodRange`.
  case other

  /// The method's name; empty for `.other`.
  package var text: StaticString {
    switch self {
    case .get: "GET"
    case .head: "HEAD"
    case .post: "POST"
    case .put: "PUT"
    case .delete: "DELETE"
    case .patch: "PATCH"
    case .options: "OPTIONS"
    case .trace: "TRACE"
    case .connect: "CONNECT"
    case .other: ""
    }
  }

  /// Whether the method is GET or HEAD: safe, therefore idempotent (RFC 9110 §9.2.2).
  package var isRead: Bool { self == .get || self == .head }
  package var isHead: Bool { self == .head }

  @inline(__always)
  init(_ bytes: Span<UInt8>, at range: Range<Int>) {
    switch range.count <= 8 ? bytes.packed(range) : 0 {
    case UInt64(ascii: "G", "E", "T"): self = .get
    case UInt64(ascii: "H", "E", "A", "D"): self = .head
    case UInt64(ascii: "P", "O", "S", "T"): self = .post
    case UInt64(ascii: "P", "U", "T"): self = .put
    case UInt64(ascii: "D", "E", "L", "E", "T", "E"): self = .delete
    case UInt64(ascii: "P", "A", "T", "C", "H"): self = .patch
    case UInt64(ascii: "O", "P", "T", "I", "O", "N", "S"): self = .options
    case UInt64(ascii: "T", "R", "A", "C", "E"): self = .trace
    case UInt64(ascii: "C", "O", "N", "N", "E", "C", "T"): self = .connect
    default: self = .other
    }
  }
}
