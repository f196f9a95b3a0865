/// The parts of a request target in origin-form or absolute-form (RFC 9112 §3.2).
struct RequestTarget {
  /// The authority of an absolute-form target, which is valid; nil in origin-form.
  let authority: Range<Int>?
  /// The path, which starts with a slash.
  let path: Range<Int>
  /// The part after the first question mark.
  let query: Range<Int>?

  /// Parses a non-empty target of visible bytes.
  ///
  /// - Parameter question: the index of its first question mark.
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

  /// The authority and path of an absolute-form target.
  ///
  /// A server must accept this form (RFC 9112 §3.2.2). Authority-form is for CONNECT, which the gateway does not support.
  @inline(never)
  private static func absolute(
    _ bytes: Span<UInt8>, _ target: Range<Int>
  ) throws(HeadFault.Reason) -> (authority: Range<Int>, path: Range<Int>) {
    guard let start = endOfScheme(bytes, target) else { throw .targetForm }
    let slash = bytes.first(UInt8(ascii: "/"), in: start..<target.upperBound)
    let end = slash ?? target.upperBound
    guard Authority.isValid(bytes, start..<end) else { throw .targetAuthority }
    // RFC 9110 §4.2.3: an empty path equals "/"; the last slash of the scheme represents it.
    return (start..<end, slash == nil ? start - 1..<start : end..<target.upperBound)
  }

  /// The end of `http://` or `https://`; nil if the target has neither.
  private static func endOfScheme(_ bytes: Span<UInt8>, _ target: Range<Int>) -> Int? {
    let start = target.lowerBound
    if target.count >= 7, bytes.has(anyCaseOf: "http://", at: start..<start + 7) { return start + 7 }
    if target.count >= 8, bytes.has(anyCaseOf: "https://", at: start..<start + 8) { return start + 8 }
    return nil
  }
}
