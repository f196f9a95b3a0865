/// The head of a response as offsets into the bytes that were parsed; 0 is the first byte given to the parser.
public struct ResponseHead: ~Copyable, Sendable {
  /// 100...599, but never 101.
  package internal(set) var status = 0
  /// As sent; may be empty.
  package internal(set) var reason = 0..<0
  package internal(set) var version = Version.http11
  public internal(set) var fields = FieldLines()
  package internal(set) var framing = BodyFraming.none
  /// Whether a Content-Length was sent; with `.none` as framing it may still tell a length, as in a response to HEAD.
  package internal(set) var hasContentLength = false
  /// Whether the upstream connection persists after the body (RFC 9112 §9.3).
  package internal(set) var keepAlive = false
  /// Bytes of the whole head, the empty line that ends it included.
  package internal(set) var byteCount = 0

  /// Whether another head follows for the same request (RFC 9110 §15.2).
  package var isInterim: Bool { status < 200 }

  /// Whether there is a field of this kind.
  @inlinable @inline(__always) public func has(_ kind: FieldName) -> Bool { fields.has(kind) }

  /// Holds nothing any more; in place, since all of it together is long.
  mutating func reset() {
    status = 0
    reason = 0..<0
    version = .http11
    fields.removeAll()
    framing = .none
    hasContentLength = false
    keepAlive = false
    byteCount = 0
  }
}

/// Why the head of a response is refused: the instance is at fault, and its connection cannot be used any more.
package enum ResponseFault: Error, Equatable, Sendable {
  case malformed(HeadFault.Reason)
  /// A bound of `HeadLimits` was passed.
  case headTooLarge

  init(_ fault: HeadFault) {
    switch fault {
    case .malformed(let reason): self = .malformed(reason)
    case .targetTooLong, .headersTooLarge: self = .headTooLarge
    case .notImplemented: self = .malformed(.transferCodingUnknown)
    case .versionUnsupported: self = .malformed(.version)
    case .expectationUnsupported: preconditionFailure("a response expects nothing")
    }
  }
  /// For log lines; holds nothing of what was sent.
  package var text: StaticString {
    switch self {
    case .malformed(let reason): reason.text
    case .headTooLarge: "the head is too large"
    }
  }
}
