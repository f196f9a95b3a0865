/// Turns the bytes of an answer's head into a `ResponseHead`, line by line (RFC 9112 §2 to §6).
package struct ResponseHeadParser: ~Copyable, Sendable {
  private enum Phase {
    case statusLine, fields, complete
  }

  /// Whole after `parse` returned true.
  package private(set) var head = ResponseHead()
  private let limits: HeadLimits
  private let names = FieldNameTable.shared
  private var phase = Phase.statusLine
  private var scanner = LineScanner()
  private var section = FieldSection()
  /// Where the field lines begin.
  private var fieldsStart = 0

  package init(limits: HeadLimits) {
    self.limits = limits
  }

  /// Makes ready for the next head, also for the one after an interim answer; the room for field lines is kept.
  package mutating func reset() {
    var fields: [FieldLine] = []
    swap(&fields, &head.fields)
    fields.removeAll(keepingCapacity: true)
    head = ResponseHead()
    swap(&fields, &head.fields)
    phase = .statusLine
    scanner = LineScanner()
    section = FieldSection()
    fieldsStart = 0
  }

  /// Resumes where it stopped, and tells whether the head is complete.
  ///
  /// `bytes` always starts at the first byte of this head and only grows between calls; what follows the head is not
  /// looked at. `method` is that of the request: the answer to a HEAD has no body. After a fault only `reset` makes sense.
  package mutating func parse(_ bytes: Span<UInt8>, answering method: Method) throws(ResponseFault) -> Bool {
    // What does not speak HTTP/1 is refused at its first byte, without waiting for a line end that may never come.
    if phase == .statusLine { try checkProtocol(bytes) }
    while phase != .complete {
      guard let line = try nextLine(bytes) else { return false }
      switch phase {
      case .statusLine: try readStatusLine(bytes, line)
      case .fields:
        if line.isEmpty { finish(bytes, answering: method) } else { try readField(bytes, line) }
      case .complete: break
      }
    }
    return true
  }

  private func checkProtocol(_ bytes: Span<UInt8>) throws(ResponseFault) {
    var index = 0
    for byte in "HTTP/1.".utf8 {
      guard index < bytes.count else { return }
      guard bytes[index] == byte else { throw .malformed(.statusLine) }
      index += 1
    }
  }

  private mutating func nextLine(_ bytes: Span<UInt8>) throws(ResponseFault) -> Range<Int>? {
    let endMax =
      phase == .statusLine ? limits.requestLineBytesMax + 2 : fieldsStart + limits.headerBytesMax
    let step: LineScanner.Step
    do { step = try scanner.next(bytes, endMax: endMax) } catch { throw .malformed(error) }
    switch step {
    case .line(let line): return line
    case .needsMore: return nil
    case .tooLong: throw .headTooLarge
    }
  }

  /// version SP status-code [ SP reason-phrase ] (RFC 9112 §4); without a reason the second space may be missing.
  private mutating func readStatusLine(_ bytes: Span<UInt8>, _ line: Range<Int>) throws(ResponseFault) {
    guard line.count >= 12, bytes[8] == .space, line.count == 12 || bytes[12] == .space,
      bytes[9].isDigit, bytes[10].isDigit, bytes[11].isDigit
    else { throw .malformed(.statusLine) }
    switch Version.read(bytes, at: 0..<8) {
    case .understood(let version): head.version = version
    case .unsupported, .malformed: throw .malformed(.version)
    }
    for index in 9..<12 { head.status = head.status * 10 + Int(bytes[index] - UInt8(ascii: "0")) }
    guard (100...599).contains(head.status) else { throw .malformed(.status) }
    // RFC 9110 §7.8: no Upgrade is ever sent, so none may be accepted.
    guard head.status != 101 else { throw .malformed(.switchingProtocols) }
    head.reason = min(13, line.upperBound)..<line.upperBound
    fieldsStart = scanner.lineStart
    phase = .fields
  }

  private mutating func readField(_ bytes: Span<UInt8>, _ line: Range<Int>) throws(ResponseFault) {
    guard head.fields.count < limits.fieldsMax else { throw .headTooLarge }
    do {
      let field = try FieldLine(bytes, line: line, names: names)
      try section.add(field, bytes, version: head.version)
      head.fields.append(field)
    } catch { throw .malformed(error) }
  }

  private mutating func finish(_ bytes: Span<UInt8>, answering method: Method) {
    section.markNamedByConnection(&head.fields, bytes)
    head.framing = .ofResponse(
      status: head.status, answering: method, contentLength: section.contentLength, isChunked: section.isChunked)
    head.hasContentLength = section.contentLength != nil
    head.keepAlive = section.keepAlive(version: head.version) && head.framing != .untilClose
    head.byteCount = scanner.lineStart
    phase = .complete
  }
}
