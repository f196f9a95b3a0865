/// Parses a response head incrementally, line by line (RFC 9112 §2 to §6).
package struct ResponseHeadParser: ~Copyable, Sendable {
  private enum Phase {
    case statusLine, fields, complete
  }

  /// Complete once `parse` has returned true.
  package private(set) var head = ResponseHead()
  private var phase = Phase.statusLine
  private var reader: HeadReader

  package init(limits: HeadLimits) {
    reader = HeadReader(limits: limits)
  }

  /// Prepares for the next head, including the one after an interim response; keeps the capacity for field lines.
  package mutating func reset() {
    guard reader.hasBegun else { return }
    head.reset()
    phase = .statusLine
    reader.reset()
  }

  /// Resumes parsing and returns whether the head is complete.
  ///
  /// `bytes` must always start at the first byte of this head and only grow between calls; bytes after the head are not
  /// read. After a fault, call `reset` before parsing again.
  ///
  /// - Parameter method: the method of the request; the response to a HEAD has no body.
  package mutating func parse(_ bytes: Span<UInt8>, answering method: Method) throws(ResponseFault) -> Bool {
    do throws(HeadFault) {
      if phase == .statusLine {
        // Anything but HTTP/1 is rejected at its first wrong byte, without waiting for a line end that may never come.
        try checkProtocol(bytes)
        guard let line = try reader.startLine(bytes) else { return false }
        try readStatusLine(bytes, line)
      }
      if phase == .fields, try reader.readFields(bytes, into: &head.fields) { finish(answering: method) }
    } catch { throw ResponseFault(error) }
    return phase == .complete
  }

  private func checkProtocol(_ bytes: Span<UInt8>) throws(HeadFault) {
    let difference = bytes.word(at: 0) ^ UInt64(ascii: "H", "T", "T", "P", "/", "1", ".")
    guard difference & .mask(bytes: min(bytes.count, 7)) == 0 else { throw .malformed(.statusLine) }
  }

  /// version SP status-code [ SP reason-phrase ] (RFC 9112 §4); without a reason the second space may be missing.
  private mutating func readStatusLine(_ bytes: Span<UInt8>, _ line: Range<Int>) throws(HeadFault) {
    guard line.count >= 12, bytes[8] == .space, line.count == 12 || bytes[12] == .space,
      bytes[9].isDigit, bytes[10].isDigit, bytes[11].isDigit
    else { throw .malformed(.statusLine) }
    switch Version.read(bytes, at: 0..<8) {
    case .supported(let version): head.version = version
    case .unsupported, .malformed: throw .malformed(.version)
    }
    for index in 9..<12 { head.status = head.status * 10 + Int(bytes[index] - UInt8(ascii: "0")) }
    guard (100...599).contains(head.status) else { throw .malformed(.status) }
    // RFC 9110 §7.8: the gateway never sends Upgrade, so a 101 is invalid.
    guard head.status != 101 else { throw .malformed(.switchingProtocols) }
    head.reason = min(13, line.upperBound)..<line.upperBound
    reader.beginFields(head.version, of: .response)
    phase = .fields
  }

  private mutating func finish(answering method: Method) {
    let section = reader.section
    head.framing = .ofResponse(
      status: head.status, answering: method, contentLength: section.contentLength, isChunked: section.isChunked)
    head.hasContentLength = section.contentLength != nil
    head.keepAlive = section.keepAlive && head.framing != .untilClose
    head.byteCount = reader.byteCount
    phase = .complete
  }
}
