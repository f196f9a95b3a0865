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

  /// GET and HEAD: what is asked twice does no more than once (RFC 9110 §9.2.1).
  package var isRead: Bool { self == .get || self == .head }
  package var isHead: Bool { self == .head }

  init(_ bytes: Span<UInt8>, at range: Range<Int>) {
    let word = range.count <= 8 ? bytes.packed(range) : 0
    for method in Self.words.indices where Self.words[method] == word {
      self = Method(rawValue: UInt8(method)) ?? .other
      return
    }
    self = .other
  }

  /// By raw value; each has at most eight bytes.
  private static let words = InlineArray<9, UInt64> { index in ShortText(Method.allCases[index].text.description).first
  }
}
