/// Splits a growing buffer into the lines of a head, scanning each byte once; the caller may have scanned the start of a
/// line.
struct LineScanner: Sendable {
  /// The start of the current line.
  private(set) var lineStart = 0
  private var position = 0

  var hasBegun: Bool { position > 0 }
  var isAtLineStart: Bool { position == lineStart }

  /// The next line without its CRLF; nil if it is not complete yet. It has no control byte except HTAB.
  ///
  /// Only CRLF ends a line: parsers disagree on a bare LF or CR (RFC 9112 §2.2).
  ///
  /// - Parameters:
  ///   - known: the number of bytes at the start of the line already known not to be control bytes.
  ///   - endMax: the largest allowed offset after the CRLF.
  ///   - tooLong: thrown once the line cannot end by then.
  @inline(__always)
  mutating func next(
    _ bytes: Span<UInt8>, known: Int = 0, endMax: Int, tooLong: HeadFault
  ) throws(HeadFault) -> Range<Int>? {
    let start = max(position, lineStart &+ known)
    let end = min(bytes.count, endMax &- 1)
    // If the line before ended exactly at the bound, `start` is beyond `end`.
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

  /// Returns nil if the line is incomplete, and throws if it can never be complete.
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
