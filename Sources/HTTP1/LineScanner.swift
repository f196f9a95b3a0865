/// Finds the lines of a head in bytes that grow, looking at each byte once; who asks may have looked at the start of a line.
struct LineScanner: Sendable {
  /// Where the line begins that is being looked for.
  private(set) var lineStart = 0
  private var position = 0

  var hasBegun: Bool { position > 0 }
  var isAtLineStart: Bool { position == lineStart }

  /// The next line without its CRLF, which holds no control byte but HTAB; nil: it is not whole yet.
  ///
  /// Only CRLF ends a line: a bare LF or CR is what two parsers read differently (RFC 9112 §2.2).
  ///
  /// - Parameters:
  ///   - known: bytes at the start of the line that were seen to be no control bytes.
  ///   - endMax: the bound before which the CRLF ends, or on it.
  ///   - tooLong: what is thrown once it cannot.
  @inline(__always)
  mutating func next(
    _ bytes: Span<UInt8>, known: Int = 0, endMax: Int, tooLong: HeadFault
  ) throws(HeadFault) -> Range<Int>? {
    let start = max(position, lineStart &+ known)
    let end = min(bytes.count, endMax &- 1)
    // The line before may have ended right at the bound, which is behind `end` then.
    let index = start < end && bytes[start] != .cr ? bytes.endOfContent(in: start..<end) : start
    guard index < end, bytes[index] == .cr, index &+ 1 < bytes.count, bytes[index &+ 1] == .lf else {
      position = index
      return try stop(bytes, end: end, endMax: endMax, tooLong: tooLong)
    }
    let line = lineStart..<index
    lineStart = index &+ 2
    position = lineStart
    return line
  }

  /// Why there is no line: it is not whole, or will never be.
  private func stop(
    _ bytes: Span<UInt8>, end: Int, endMax: Int, tooLong: HeadFault
  ) throws(HeadFault) -> Range<Int>? {
    guard position < end else {
      guard position < endMax - 1 else { throw tooLong }
      return nil
    }
    switch bytes[position] {
    case .lf: throw .malformed(.bareLF)
    case .cr:
      guard position + 1 < bytes.count else { return nil }
      throw .malformed(.bareCR)
    default: throw .malformed(.controlByte)
    }
  }
}
