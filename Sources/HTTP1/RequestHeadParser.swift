/// Parses a request head incrementally, line by line (RFC 9112 §2 to §6, RFC 9110).
package struct RequestHeadParser: ~Copyable, Sendable {
  /// Empty lines ignored before the request line; RFC 9112 §2.2 asks for at least one.
  package static let emptyLinesMax = 4

  private enum Phase {
    case requestLine, fields, complete
  }

  /// Complete once `parse` has returned true.
  package private(set) var head = RequestHead()
  package var isComplete: Bool { phase == .complete }
  private var phase = Phase.requestLine
  private var reader: HeadReader
  private var emptyLines = 0

  package init(limits: HeadLimits) {
    reader = HeadReader(limits: limits)
  }

  /// Prepares for the next head; keeps the capacity for field lines.
  package mutating func reset() {
    guard reader.hasBegun else { return }
    head.reset()
    phase = .requestLine
    reader.reset()
    emptyLines = 0
  }

  /// Resumes parsing and returns whether the head is complete.
  ///
  /// `bytes` must always start at the first byte of this head and only grow between calls; bytes after the head are not
  /// read. Each byte is read a bounded number of times. After a fault, call `reset` before parsing again.
  package mutating func parse(_ bytes: Span<UInt8>) throws(HeadFault) -> Bool {
    while phase == .requestLine {
      // Read before the line's end is searched for, so that each byte is read once; not repeated while the line grows.
      let seen = reader.isAtLineStart ? RequestLine(bytes, in: reader.byteCount..<bytes.count) : nil
      let known = seen.map { $0.targetEnd - reader.byteCount } ?? 0
      guard let line = try reader.startLine(bytes, known: known) else { return false }
      if line.isEmpty { try skipEmptyLine() } else { try read(seen ?? RequestLine(bytes, in: line), bytes, line) }
    }
    if phase == .fields, try reader.readFields(bytes, into: &head.fields) { try finish() }
    return phase == .complete
  }

  private mutating func skipEmptyLine() throws(HeadFault) {
    emptyLines += 1
    guard emptyLines <= Self.emptyLinesMax else { throw .malformed(.emptyLines) }
  }

  /// method SP target SP version (RFC 9112 §3).
  @inline(__always)
  private mutating func read(_ parts: RequestLine, _ bytes: Span<UInt8>, _ line: Range<Int>) throws(HeadFault) {
    let (methodEnd, targetStart, targetEnd) = (parts.methodEnd, parts.methodEnd &+ 1, parts.targetEnd)
    guard methodEnd < line.upperBound else { throw .malformed(.requestLine) }
    guard bytes[methodEnd] == .space, methodEnd > line.lowerBound else { throw .malformed(.methodNotToken) }
    guard targetEnd == line.upperBound || bytes[targetEnd] == .space else { throw .malformed(.targetByte) }
    guard targetEnd < line.upperBound, targetEnd > targetStart else { throw .malformed(.requestLine) }
    head.methodRange = line.lowerBound..<methodEnd
    head.method = Method(bytes, at: head.methodRange)
    head.target = targetStart..<targetEnd

    switch Version.read(bytes, at: targetEnd + 1..<line.upperBound) {
    case .supported(let version): head.version = version
    case .unsupported: throw .versionUnsupported
    case .malformed: throw .malformed(.version)
    }
    try readTarget(bytes, question: parts.question)
    phase = .fields
  }

  private mutating func readTarget(_ bytes: Span<UInt8>, question: Int?) throws(HeadFault) {
    do {
      let parts = try RequestTarget(bytes, head.target, question: question)
      head.path = parts.path
      head.query = parts.query
      reader.beginFields(head.version, of: .request(authority: parts.authority))
    } catch {
      guard error == .targetForm, isAsteriskForm(bytes) else { throw .malformed(error) }
      head.path = head.target
      head.query = nil
      reader.beginFields(head.version, of: .request(authority: nil))
    }
  }

  /// Whether the target is `*`, which only OPTIONS may have (RFC 9112 §3.2.4).
  private func isAsteriskForm(_ bytes: Span<UInt8>) -> Bool {
    head.method == .options && head.target.count == 1 && bytes[head.target.lowerBound] == UInt8(ascii: "*")
  }

  /// Whether a request, possibly incomplete or malformed, is a HEAD request.
  package static func isHead(_ bytes: Span<UInt8>) -> Bool {
    var start = 0
    while start + 1 < bytes.count, bytes[start] == .cr, bytes[start + 1] == .lf { start += 2 }
    return bytes.count - start >= 5 && bytes.packed(start..<start + 5) == UInt64(ascii: "H", "E", "A", "D", " ")
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

/// The ends of the parts of a request line (RFC 9112 §3), read before it is known to be complete or valid.
private struct RequestLine {
  /// The end of the token at the start.
  let methodEnd: Int
  /// The end of the target bytes that follow the token and one space; `methodEnd` if no space follows.
  let targetEnd: Int
  /// The index of the target's first question mark.
  let question: Int?

  /// Reads the start of `range`; it may extend beyond the line, whose CRLF ends both parts.
  @inline(__always)
  init(_ bytes: Span<UInt8>, in range: Range<Int>) {
    methodEnd = bytes.endOfToken(in: range)
    guard methodEnd < range.upperBound, bytes[methodEnd] == .space else {
      targetEnd = methodEnd
      question = nil
      return
    }
    let pathEnd = bytes.endOfTargetPath(in: methodEnd &+ 1..<range.upperBound)
    let hasQuery = pathEnd < range.upperBound && bytes[pathEnd] == UInt8(ascii: "?")
    targetEnd = hasQuery ? bytes.endOfTarget(in: pathEnd..<range.upperBound) : pathEnd
    question = hasQuery ? pathEnd : nil
  }
}
