/// The parts of a request target in origin-form or absolute-form (RFC 9112 §3.2).
struct RequestTarget {
  /// Of an absolute-form; valid.
  let authority: Range<Int>?
  /// Starts with a slash.
  let path: Range<Int>
  /// Behind the first question mark.
  let query: Range<Int>?

  /// Reads a target that is not empty, of visible bytes, whose first question mark is at `question`.
  @inline(__always)
  init(_ bytes: Span<UInt8>, _ target: Range<Int>, question: Int?) throws(HeadFault.Reason) {
    let pathEnd = question ?? target.upperBound
    query = question.map { $0 + 1..<target.upperBound }
    guard bytes[target.lowerBound] != UInt8(ascii: "/") else {
      authority = nil
      path = target.lowerBound..<pathEnd
      return
    }
    (authority, path) = try Self.absolute(bytes, target.lowerBound..<pathEnd)
  }

  /// Authority and path of an absolute-form.
  ///
  /// A gateway has to take it (RFC 9112 §3.2.2). Authority-form is for CONNECT, which nothing here answers.
  @inline(never)
  private static func absolute(
    _ bytes: Span<UInt8>, _ target: Range<Int>
  ) throws(HeadFault.Reason) -> (authority: Range<Int>, path: Range<Int>) {
    guard let start = endOfScheme(bytes, target) else { throw .targetForm }
    let slash = bytes.first(UInt8(ascii: "/"), in: start..<target.upperBound)
    let end = slash ?? target.upperBound
    guard Authority.isValid(bytes, start..<end) else { throw .targetAuthority }
    // RFC 9110 §4.2.3: an empty path is the same as "/", for which the last slash of the scheme stands.
    return (start..<end, slash == nil ? start - 1..<start : end..<target.upperBound)
  }

  /// Where `http://` or `https://` ends.
  private static func endOfScheme(_ bytes: Span<UInt8>, _ target: Range<Int>) -> Int? {
    let start = target.lowerBound
    if target.count >= 7, bytes.has(anyCaseOf: "http://", at: start..<start + 7) { return start + 7 }
    if target.count >= 8, bytes.has(anyCaseOf: "https://", at: start..<start + 8) { return start + 8 }
    return nil
  }
}
