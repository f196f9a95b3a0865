/// Why a path is refused: it could name one thing to the gateway and another to Core.
package enum PathFault: Error, Equatable, Sendable {
  /// It does not start with a slash.
  case notRooted
  /// `//`; a trailing slash is no empty segment here, since no route has one.
  case emptySegment
  /// `.` or `..`.
  case dotSegment
  /// A percent sign without two hex digits behind it.
  case escapeMalformed
  /// `%2F %5C %25 %7F %00–%1F`, or an escape of an unreserved byte, which needs none (RFC 3986 §2.3).
  case escapeForbidden
  /// `\`, `;` or a byte outside 0x21...0x7e.
  case byteForbidden
}

/// Checks that a path means the same to everyone who reads it; other escapes (`%40`) pass.
package func checkPath(_ bytes: Span<UInt8>, _ path: Range<Int>) throws(PathFault) {
  guard let first = path.first, bytes[first] == UInt8(ascii: "/") else { throw .notRooted }
  var segmentStart = first + 1
  var index = segmentStart
  while index < path.upperBound {
    index = endOfPlain(bytes, index..<path.upperBound)
    guard index < path.upperBound else { break }
    switch bytes[index] {
    case UInt8(ascii: "/"):
      try checkSegment(bytes, segmentStart..<index)
      segmentStart = index + 1
    case UInt8(ascii: "%"):
      try checkEscape(bytes, index + 1..<path.upperBound)
      index += 2
    case UInt8(ascii: "\\"), UInt8(ascii: ";"): throw .byteForbidden
    case let byte: guard byte.isVisible else { throw .byteForbidden }
    }
    index += 1
  }
  if segmentStart < path.upperBound { try checkSegment(bytes, segmentStart..<path.upperBound) }
}

/// The first byte of `range` that is neither a letter nor a digit nor `-` or `.`, or its end.
@inline(__always)
private func endOfPlain(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int {
  bytes.firstMark(in: range) { word in
    word.marks(besidesLettersAnd: UInt8(ascii: "-")...UInt8(ascii: "9")) | word.marks(of: UInt8(ascii: "/"))
  }
}

@inline(__always)
private func checkSegment(_ bytes: Span<UInt8>, _ segment: Range<Int>) throws(PathFault) {
  guard !segment.isEmpty else { throw .emptySegment }
  let dot = UInt8(ascii: ".")
  guard segment.count > 2 || bytes[segment.lowerBound] != dot || bytes[segment.upperBound - 1] != dot else {
    throw .dotSegment
  }
}

/// `rest` begins behind the percent sign.
private func checkEscape(_ bytes: Span<UInt8>, _ rest: Range<Int>) throws(PathFault) {
  guard let byte = percentDecoded(bytes, rest) else { throw .escapeMalformed }
  switch byte {
  case 0...0x1f, 0x7f, UInt8(ascii: "/"), UInt8(ascii: "\\"), UInt8(ascii: "%"): throw .escapeForbidden
  default: guard !ByteSet.unreserved.contains(byte) else { throw .escapeForbidden }
  }
}

/// The byte that the two hex digits at the start of `rest` stand for.
func percentDecoded(_ bytes: Span<UInt8>, _ rest: Range<Int>) -> UInt8? {
  guard rest.count >= 2, let high = bytes[rest.lowerBound].hexValue, let low = bytes[rest.lowerBound + 1].hexValue
  else { return nil }
  return high << 4 | low
}
