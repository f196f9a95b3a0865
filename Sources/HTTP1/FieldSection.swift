/// What the field lines of one head determine together: the body, the connection and, in a request, the host.
struct FieldSection: Sendable {
  /// Some fields have a meaning only in requests.
  enum MessageKind {
    /// - Parameter authority: the authority of an absolute-form target.
    case request(authority: Range<Int>?)
    case response
  }

  /// A bound, because every option is compared with every field name.
  static let connectionOptionsMax = 64

  /// The value of the one Content-Length, in bytes.
  private(set) var contentLength: Int?
  private(set) var isChunked = false
  private(set) var hasHost = false
  /// Whether a 100 (Continue) is expected.
  private(set) var hasExpectation = false
  private let version: Version
  private let kind: MessageKind
  private var closes = false
  private var keepsAlive = false
  private var optionCount = 0
  /// Whether any `Connection` names another field.
  private(set) var namesFields = false

  init(version: Version, kind: MessageKind) {
    self.version = version
    self.kind = kind
  }

  /// Adds one line, and rejects it if it is invalid or conflicts with the lines before it.
  @inline(__always)
  mutating func add(_ field: FieldLine, _ bytes: Span<UInt8>) throws(HeadFault) {
    switch field.kind {
    case .contentLength: try addContentLength(bytes, field.value)
    case .transferEncoding: try addTransferEncoding(bytes, field.value)
    case .connection: try addConnection(bytes, field.value)
    case .host: try addHost(bytes, field.value)
    case .expect: try addExpectation(bytes, field.value)
    default: break
    }
  }

  /// Whether the connection may carry another message (RFC 9112 §9.3).
  var keepAlive: Bool {
    switch version {
    case .http11: !closes
    case .http10: keepsAlive && !closes
    }
  }

  /// Marks the fields that `Connection` fields name, once the head is complete.
  func markNamedByConnection(_ fields: inout FieldLines, _ bytes: Span<UInt8>) {
    for index in fields.indices where fields[index].kind == .connection {
      var options = ListMembers(of: fields[index].value)
      while let option = options.next(bytes) {
        // These two options describe the connection and name no field.
        if bytes.has(anyCaseOf: "close", at: option) || bytes.has(anyCaseOf: "keep-alive", at: option) { continue }
        for other in fields.indices
        where !fields[other].kind.isNeverHopByHop && bytes.areSame(anyCaseOf: option, fields[other].name) {
          fields.markNamedByConnection(other)
        }
      }
    }
  }

  /// One field, digits only: a list of equal lengths is rejected too (RFC 9110 §8.6, RFC 9112 §6.3 rule 5).
  private mutating func addContentLength(_ bytes: Span<UInt8>, _ value: Range<Int>) throws(HeadFault) {
    guard contentLength == nil else { throw .malformed(.contentLengthRepeated) }
    // RFC 9112 §6.1: both length fields together are a sign of request smuggling, so the connection ends
    // here.
    guard !isChunked else { throw .malformed(.bothLengths) }
    guard (1...18).contains(value.count), let length = bytes.decimal(value) else {
      throw .malformed(.contentLengthInvalid)
    }
    contentLength = length
  }

  /// One field, exactly `chunked`, on HTTP/1.1 (RFC 9112 §6.1).
  private mutating func addTransferEncoding(_ bytes: Span<UInt8>, _ value: Range<Int>) throws(HeadFault) {
    guard !isChunked else { throw .malformed(.transferEncodingRepeated) }
    guard contentLength == nil else { throw .malformed(.bothLengths) }
    guard version == .http11 else { throw .malformed(.transferEncodingOnHTTP10) }
    guard bytes.has(anyCaseOf: "chunked", at: value) else {
      throw Self.isUnsupported(bytes, codings: value) ? .notImplemented : .malformed(.transferEncodingInvalid)
    }
    isChunked = true
  }

  /// Whether a list of codings other than just `chunked` is valid but unsupported: it names another coding, and `chunked`
  /// at most once, last and without parameters.
  private static func isUnsupported(_ bytes: Span<UInt8>, codings value: Range<Int>) -> Bool {
    var members = ListMembers(of: value)
    var count = 0
    var hasChunked = false
    while let member = members.next(bytes) {
      guard !hasChunked else { return false }
      let semicolon = bytes.first(UInt8(ascii: ";"), in: member) ?? member.upperBound
      let name = bytes.trimmed(member.lowerBound..<semicolon)
      guard bytes.isToken(name) else { return false }
      hasChunked = bytes.has(anyCaseOf: "chunked", at: name)
      // RFC 9112 §7.1: chunked has no parameters.
      guard !hasChunked || name == member else { return false }
      count += 1
    }
    return count > (hasChunked ? 1 : 0)
  }

  private mutating func addConnection(_ bytes: Span<UInt8>, _ value: Range<Int>) throws(HeadFault) {
    var options = ListMembers(of: value)
    while let option = options.next(bytes) {
      guard bytes.isToken(option) else { throw .malformed(.connectionInvalid) }
      optionCount += 1
      guard optionCount <= Self.connectionOptionsMax else { throw .malformed(.tooManyConnectionOptions) }
      if bytes.has(anyCaseOf: "close", at: option) {
        closes = true
      } else if bytes.has(anyCaseOf: "keep-alive", at: option) {
        keepsAlive = true
      } else {
        // If the length field were removed as hop-by-hop, the end of this response would be lost.
        if case .response = kind, bytes.namesFraming(option) { throw .malformed(.connectionNamesFraming) }
        namesFields = true
      }
    }
  }

  /// One field, valid, and equal to the target's authority if it has one (RFC 9112 §3.2).
  private mutating func addHost(_ bytes: Span<UInt8>, _ value: Range<Int>) throws(HeadFault) {
    guard case .request(let authority) = kind else { return }
    guard !hasHost else { throw .malformed(.hostRepeated) }
    guard Authority.isValid(bytes, value) else { throw .malformed(.hostInvalid) }
    if let authority, !bytes.areSame(anyCaseOf: authority, value) { throw .malformed(.hostMismatch) }
    hasHost = true
  }

  private mutating func addExpectation(_ bytes: Span<UInt8>, _ value: Range<Int>) throws(HeadFault) {
    guard case .request = kind else { return }
    guard bytes.has(anyCaseOf: "100-continue", at: value) else { throw .expectationUnsupported }
    hasExpectation = true
  }
}

/// The members of a comma-separated field value, without OWS and empty members (RFC 9110 §5.6.1).
private struct ListMembers {
  private var rest: Range<Int>

  init(of value: Range<Int>) { rest = value }

  mutating func next(_ bytes: Span<UInt8>) -> Range<Int>? {
    while !rest.isEmpty {
      let comma = bytes.first(UInt8(ascii: ","), in: rest) ?? rest.upperBound
      let member = bytes.trimmed(rest.lowerBound..<comma)
      rest = min(comma + 1, rest.upperBound)..<rest.upperBound
      if !member.isEmpty { return member }
    }
    return nil
  }
}

extension FieldName {
  /// Whether every hop needs the field, to read the message or its age: a Connection option does not make it hop-by-hop.
  fileprivate var isNeverHopByHop: Bool {
    self == .host || self == .contentLength || self == .transferEncoding || self == .date
  }
}

extension Span<UInt8> {
  fileprivate func namesFraming(_ name: Range<Int>) -> Bool {
    has(anyCaseOf: "content-length", at: name) || has(anyCaseOf: "transfer-encoding", at: name)
  }
}
