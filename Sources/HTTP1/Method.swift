/// A request method, compared with its case (RFC 9110 §9.1).
package enum Method: UInt8, Sendable, CaseIterable {
  case get, head, post, put, delete, patch, options, trace, connect
  /// A token that is none of these; its bytes are at `RequestHead.methodRange`.
  case other

  /// The method as it is sent; empty for `.other`.
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

  init(_ bytes: Span<UInt8>, at range: Range<Int>) {
    switch range.count {
    case 3 where bytes.has("GET", at: range): self = .get
    case 3 where bytes.has("PUT", at: range): self = .put
    case 4 where bytes.has("POST", at: range): self = .post
    case 4 where bytes.has("HEAD", at: range): self = .head
    case 5 where bytes.has("PATCH", at: range): self = .patch
    case 5 where bytes.has("TRACE", at: range): self = .trace
    case 6 where bytes.has("DELETE", at: range): self = .delete
    case 7 where bytes.has("OPTIONS", at: range): self = .options
    case 7 where bytes.has("CONNECT", at: range): self = .connect
    default: self = .other
    }
  }
}
