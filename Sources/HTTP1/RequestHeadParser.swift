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
  private var phase = Phase.requestLine
  private var reader: HeadReader
  private var emptyLines = 0

  package init(limits: HeadLimits) {
    reader = HeadReader(limits: limits)
  }

  /// Makes ready for the next head; the room for field lines is kept.
  package mutating func reset() {
    guard reader.hasBegun else { return }
    head.reset()
    phase = .requestLine
    reader.reset()
    emptyLines = 0
  }

  /// Resumes where it stopped, and tells whether the head is complete.
  ///
  /// `bytes` always starts at the first byte of this head and only grows between calls; what follows the head is not
  /// looked at. Each byte is looked at a bounded number of times. After a fault only `reset` makes sense.
  package mutating func parse(_ bytes: Span<UInt8>) throws(HeadFault) -> Bool {
    while phase == .requestLine {
      guard let line = try reader.startLine(bytes) else { return false }
      if line.isEmpty { try skipEmptyLine() } else { try readRequestLine(bytes, line) }
    }
    if phase == .fields, try reader.readFields(bytes, into: &head.fields) { try finish() }
    return phase == .complete
  }

  private mutating func skipEmptyLine() throws(HeadFault) {
    emptyLines += 1
    guard emptyLines <= Self.emptyLinesMax else { throw .malformed(.emptyLines) }
  }

  /// method SP target SP version (RFC 9112 §3).
  private mutating func readRequestLine(_ bytes: Span<UInt8>, _ line: Range<Int>) throws(HeadFault) {
    let methodEnd = bytes.endOfToken(in: line)
    head.methodRange = line.lowerBound..<methodEnd
    guard methodEnd < line.upperBound else { throw .malformed(.requestLine) }
    guard bytes[methodEnd] == .space, !head.methodRange.isEmpty else { throw .malformed(.methodNoToken) }
    head.method = Method(bytes, at: head.methodRange)

    let targetStart = methodEnd + 1
    let (targetEnd, question) = try endOfTarget(bytes, targetStart..<line.upperBound)
    guard targetEnd < line.upperBound, targetEnd > targetStart else { throw .malformed(.requestLine) }
    head.target = targetStart..<targetEnd

    switch Version.read(bytes, at: targetEnd + 1..<line.upperBound) {
    case .understood(let version): head.version = version
    case .unsupported: throw .versionUnsupported
    case .malformed: throw .malformed(.version)
    }
    try readTarget(bytes, question: question)
    phase = .fields
  }

  /// Where the space behind the target is, or the end of the line, and where its first question mark is.
  private func endOfTarget(_ bytes: Span<UInt8>, _ rest: Range<Int>) throws(HeadFault) -> (end: Int, question: Int?) {
    let pathEnd = bytes.firstStop(in: rest) { word in
      word.marksOfNoTarget | word.marks(of: UInt8(ascii: "?"))
    } where: {
      !$0.isTarget || $0 == UInt8(ascii: "?")
    }
    let hasQuery = pathEnd < rest.upperBound && bytes[pathEnd] == UInt8(ascii: "?")
    let end =
      hasQuery ? bytes.firstStop(in: pathEnd..<rest.upperBound, marks: \.marksOfNoTarget) { !$0.isTarget } : pathEnd
    guard end == rest.upperBound || bytes[end] == .space else { throw .malformed(.targetByte) }
    return (end, hasQuery ? pathEnd : nil)
  }

  private mutating func readTarget(_ bytes: Span<UInt8>, question: Int?) throws(HeadFault) {
    do {
      let parts = try RequestTarget(bytes, head.target, question: question)
      head.path = parts.path
      head.query = parts.query
      reader.beginFields(head.version, of: .client(authority: parts.authority))
    } catch { throw .malformed(error) }
  }

  private mutating func finish() throws(HeadFault) {
    let section = reader.section
    guard section.hasHost || head.version == .http10 else { throw .malformed(.hostMissing) }
    head.framing = .ofRequest(contentLength: section.contentLength, isChunked: section.isChunked)
    head.hasContentLength = section.contentLength != nil
    head.keepAlive = section.keepAlive
    // RFC 9110 §10.1.1: ignored in an HTTP/1.0 request, and pointless without content.
    head.expectsContinue = section.hasExpectation && head.version == .http11 && head.framing != .none
    head.byteCount = reader.byteCount
    phase = .complete
  }
}
