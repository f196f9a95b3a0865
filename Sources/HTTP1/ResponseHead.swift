/// A response head, as offsets into the parsed bytes; 0 is the first byte given to the parser.
public struct ResponseHead: ~Copyable, Sendable {
  /// 100...599, except 101.
  package internal(set) var status = 0
  /// The reason phrase as sent; may be empty.
  package internal(set) var reason = 0..<0
  package internal(set) var version = Version.http11
  public internal(set) var fields = FieldLines()
  package internal(set) var framing = BodyFraming.none
  /// Whether Content-Length was sent. It may be above 0 although `framing` is `.none`, as in a response to HEAD.
  package internal(set) var hasContentLength = false
  /// Whether the upstream connection persists after the body (RFC 9112 §9.3).
  package internal(set) var keepAlive = false
  /// Bytes of the whole head, including the empty line that ends it.
  package internal(set) var byteCount = 0

  /// Whether another head follows for the same request (RFC 9110 §15.2).
  package var isInterim: Bool { status < 200 }

  /// Whether there is a field of this kind.
  @inlinable @inline(__always) public func has(_ kind: FieldName) -> Bool { fields.has(kind) }

  /// Clears every property in place: assigning a new value would copy more.
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

/// Why a response head is rejected. The instance is at fault, and its connection can no longer be used.
package enum ResponseFault: Error, Equatable, Sendable {
  case malformed(HeadFault.Reason)
  /// The head exceeds one of its `HeadLimits`.
  case headTooLarge

  init(_ fault: HeadFault) {
    switch fault {
    case .malformed(let reason): self = .malformed(reason)
    case .targetTooLong, .headersTooLarge: self = .headTooLarge
    case .notImplemented: self = .malformed(.transferCodingUnknown)
    case .versionUnsupported: self = .malformed(.version)
    case .expectationUnsupported: preconditionFailure("a response has no expectation")
    }
  }

  /// A text for log lines; it contains no received bytes.
  package var text: StaticString {
    switch self {
    case .malformed(let reason): reason.text
    case .headTooLarge: "the head is too large"
    }
  }
}
