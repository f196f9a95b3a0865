/// What the field lines of one head say together about its body and its connection.
struct FieldSection: Sendable {
  /// A bound, since every option is compared with every field name.
  static let connectionOptionsMax = 64

  /// The value of the one Content-Length, in bytes.
  private(set) var contentLength: Int?
  private(set) var isChunked = false
  private var closes = false
  private var keepsAlive = false
  private var optionCount = 0
  private var namesFields = false

  /// Takes one line's meaning in, and refuses what does not go with the lines before it.
  @inline(__always)
  mutating func add(_ field: FieldLine, _ bytes: Span<UInt8>, version: Version) throws(HeadFault.Reason) {
    switch field.kind {
    case .contentLength: try addContentLength(bytes, field.value)
    case .transferEncoding: try addTransferEncoding(bytes, field.value, version)
    case .connection: try addConnection(bytes, field.value)
    default: break
    }
  }

  /// Whether the connection may carry another message (RFC 9112 §9.3).
  func keepAlive(version: Version) -> Bool {
    switch version {
    case .http11: !closes
    case .http10: keepsAlive && !closes
    }
  }

  /// Marks the fields that the `Connection` fields name; for the whole head.
  func markNamedByConnection(_ fields: inout [FieldLine], _ bytes: Span<UInt8>) {
    guard namesFields else { return }
    for index in fields.indices where fields[index].kind == .connection {
      var options = ListMembers(of: fields[index].value)
      while let option = options.next(bytes) {
        // These two are said of the connection, and name no field.
        if bytes.has(anyCaseOf: "close", at: option) || bytes.has(anyCaseOf: "keep-alive", at: option) { continue }
        for other in fields.indices where bytes.areSame(anyCaseOf: option, fields[other].name) {
          fields[other].isNamedByConnection = true
        }
      }
    }
  }

  /// One field, digits only: a list of equal lengths is refused too (RFC 9110 §8.6, RFC 9112 §6.3 rule 5).
  private mutating func addContentLength(_ bytes: Span<UInt8>, _ value: Range<Int>) throws(HeadFault.Reason) {
    guard contentLength == nil else { throw .contentLengthRepeated }
    // RFC 9112 §6.1: both length fields together is an attack sign, so the connection ends here.
    guard !isChunked else { throw .bothLengths }
    // 18 digits cannot overflow.
    guard (1...18).contains(value.count) else { throw .contentLengthInvalid }
    var length = 0
    for index in value {
      guard bytes[index].isDigit else { throw .contentLengthInvalid }
      length = length * 10 + Int(bytes[index] - UInt8(ascii: "0"))
    }
    contentLength = length
  }

  /// One field, exactly `chunked`, on HTTP/1.1 (RFC 9112 §6.1).
  private mutating func addTransferEncoding(
    _ bytes: Span<UInt8>, _ value: Range<Int>, _ version: Version
  ) throws(HeadFault.Reason) {
    guard !isChunked else { throw .transferEncodingRepeated }
    guard contentLength == nil else { throw .bothLengths }
    guard version == .http11 else { throw .transferEncodingOnHTTP10 }
    guard bytes.has(anyCaseOf: "chunked", at: value) else {
      throw Self.isOrderly(bytes, codings: value) ? .transferCodingUnknown : .transferEncodingInvalid
    }
    isChunked = true
  }

  /// Whether a list of codings that is not just `chunked` names another coding, and chunked, if at all, once, bare and last.
  private static func isOrderly(_ bytes: Span<UInt8>, codings value: Range<Int>) -> Bool {
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

  private mutating func addConnection(_ bytes: Span<UInt8>, _ value: Range<Int>) throws(HeadFault.Reason) {
    var options = ListMembers(of: value)
    while let option = options.next(bytes) {
      guard bytes.isToken(option) else { throw .connectionInvalid }
      optionCount += 1
      guard optionCount <= Self.connectionOptionsMax else { throw .connectionOptions }
      if bytes.has(anyCaseOf: "close", at: option) {
        closes = true
      } else if bytes.has(anyCaseOf: "keep-alive", at: option) {
        keepsAlive = true
      } else {
        namesFields = true
      }
    }
  }
}
