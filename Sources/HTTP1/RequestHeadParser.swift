/// Turns the bytes of a request head into a `RequestHead`, line by line (RFC 9112 §2 to §6, RFC 9110).
package struct RequestHeadParser: ~Copyable, Sendable {
  /// RFC 9112 §2.2 wants at least one empty line before the request line to be ignored.
  package static let emptyLinesMax = 4

  private enum Phase {
    case requestLine, fields, complete
  }

  /// Whole after `parse` returned true.
  package private(set) var head = RequestHead()
  package var isComplete: Bool { phase == .complete }
  private let limits: HeadLimits
  private let names = FieldNameTable.shared
  private var phase = Phase.requestLine
  private var scanner = LineScanner()
  private var section = FieldSection()
  private var emptyLines = 0
  /// Where the field lines begin.
  private var fieldsStart = 0
  /// The authority of an absolute-form target.
  private var authority: Range<Int>?
  private var hasHost = false
  private var hasExpectation = false

  package init(limits: HeadLimits) {
    self.limits = limits
  }

  /// Makes ready for the next head; the room for field lines is kept.
  package mutating func reset() {
    var fields: [FieldLine] = []
    swap(&fields, &head.fields)
    fields.removeAll(keepingCapacity: true)
    head = RequestHead()
    swap(&fields, &head.fields)
    phase = .requestLine
    scanner = LineScanner()
    section = FieldSection()
    emptyLines = 0
    fieldsStart = 0
    authority = nil
    hasHost = false
    hasExpectation = false
  }

  /// Resumes where it stopped, and tells whether the head is complete.
  ///
  /// `bytes` always starts at the first byte of this head and only grows between calls; what follows the head is not
  /// looked at. Each byte is looked at a bounded number of times. After a fault only `reset` makes sense.
  package mutating func parse(_ bytes: Span<UInt8>) throws(HeadFault) -> Bool {
    while phase != .complete {
      guard let line = try nextLine(bytes) else { return false }
      switch phase {
      case .requestLine:
        if line.isEmpty { try skipEmptyLine() } else { try readRequestLine(bytes, line) }
      case .fields:
        if line.isEmpty { try finish(bytes) } else { try readField(bytes, line) }
      case .complete: break
      }
    }
    return true
  }

  @inline(__always)
  private mutating func nextLine(_ bytes: Span<UInt8>) throws(HeadFault) -> Range<Int>? {
    let isRequestLine = phase == .requestLine
    let endMax =
      isRequestLine ? scanner.lineStart + limits.requestLineBytesMax + 2 : fieldsStart + limits.headerBytesMax
    let step: LineScanner.Step
    do { step = try scanner.next(bytes, endMax: endMax) } catch { throw .malformed(error) }
    switch step {
    case .line(let line): return line
    case .needsMore: return nil
    case .tooLong: throw isRequestLine ? .targetTooLong : .headersTooLarge
    }
  }

  private mutating func skipEmptyLine() throws(HeadFault) {
    emptyLines += 1
    guard emptyLines <= Self.emptyLinesMax else { throw .malformed(.emptyLines) }
  }

  /// method SP target SP version (RFC 9112 §3).
  private mutating func readRequestLine(_ bytes: Span<UInt8>, _ line: Range<Int>) throws(HeadFault) {
    var index = line.lowerBound
    while index < line.upperBound, ByteSet.token.contains(bytes[index]) { index += 1 }
    head.methodRange = line.lowerBound..<index
    guard index < line.upperBound else { throw .malformed(.requestLine) }
    guard bytes[index] == .space, !head.methodRange.isEmpty else { throw .malformed(.methodNoToken) }
    head.method = Method(bytes, at: head.methodRange)

    let targetStart = index + 1
    let (targetEnd, question) = try endOfTarget(bytes, targetStart..<line.upperBound)
    guard targetEnd < line.upperBound, targetEnd > targetStart else { throw .malformed(.requestLine) }
    head.target = targetStart..<targetEnd

    switch Version.read(bytes, at: targetEnd + 1..<line.upperBound) {
    case .understood(let version): head.version = version
    case .unsupported: throw .versionUnsupported
    case .malformed: throw .malformed(.version)
    }
    try readTarget(bytes, question: question)
    fieldsStart = scanner.lineStart
    phase = .fields
  }

  /// Where the space behind the target is, or the end of the line, and where its first question mark is.
  private func endOfTarget(_ bytes: Span<UInt8>, _ rest: Range<Int>) throws(HeadFault) -> (end: Int, question: Int?) {
    var question: Int?
    var index = rest.lowerBound
    while index < rest.upperBound {
      index = bytes.firstStop(in: index..<rest.upperBound) { word in
        word.marks(below: 0x21) | word.marksBeyondASCII | word.marks(of: UInt8(ascii: "#"))
          | word.marks(of: UInt8(ascii: "?")) | word.marks(of: 0x7f)
      } where: {
        !$0.isVisible || $0 == UInt8(ascii: "#") || $0 == UInt8(ascii: "?")
      }
      guard index < rest.upperBound, bytes[index] != .space else { break }
      // A fragment never reaches a server (RFC 9110 §4.2.5).
      guard bytes[index] == UInt8(ascii: "?") else { throw .malformed(.targetByte) }
      if question == nil { question = index }
      index += 1
    }
    return (index, question)
  }

  private mutating func readTarget(_ bytes: Span<UInt8>, question: Int?) throws(HeadFault) {
    do {
      let parts = try RequestTarget(bytes, head.target, question: question)
      authority = parts.authority
      head.path = parts.path
      head.query = parts.query
    } catch { throw .malformed(error) }
  }

  @inline(__always)
  private mutating func readField(_ bytes: Span<UInt8>, _ line: Range<Int>) throws(HeadFault) {
    guard head.fields.count < limits.fieldsMax else { throw .headersTooLarge }
    do {
      let field = try FieldLine(bytes, line: line, names: names)
      try section.add(field, bytes, version: head.version)
      if field.kind == .host { try readHost(bytes, field.value) }
      head.fields.append(field)
      guard field.kind == .expect else { return }
      hasExpectation = bytes.has(anyCaseOf: "100-continue", at: field.value)
    } catch { throw HeadFault(error) }
    guard hasExpectation else { throw .expectationUnsupported }
  }

  /// Exactly one, valid, and the same as the target's authority (RFC 9112 §3.2).
  private mutating func readHost(_ bytes: Span<UInt8>, _ value: Range<Int>) throws(HeadFault.Reason) {
    guard !hasHost else { throw .hostRepeated }
    guard Authority.isValid(bytes, value) else { throw .hostInvalid }
    if let authority, !bytes.areSame(anyCaseOf: authority, value) { throw .hostNotTarget }
    hasHost = true
  }

  private mutating func finish(_ bytes: Span<UInt8>) throws(HeadFault) {
    guard hasHost || head.version == .http10 else { throw .malformed(.hostMissing) }
    section.markNamedByConnection(&head.fields, bytes)
    head.framing = .ofRequest(contentLength: section.contentLength, isChunked: section.isChunked)
    head.hasContentLength = section.contentLength != nil
    head.keepAlive = section.keepAlive(version: head.version)
    // RFC 9110 §10.1.1: ignored in an HTTP/1.0 request, and pointless without content.
    head.expectsContinue = hasExpectation && head.version == .http11 && head.framing != .none
    head.byteCount = scanner.lineStart
    phase = .complete
  }
}
