/// Why a path is rejected: the gateway and Core could read it differently.
package enum PathFault: Error, Equatable, Sendable {
  /// The path does not start with a slash.
  case notRooted
  /// `//`. A trailing slash does not count, because no route has one.
  case emptySegment
  /// `.` or `..`.
  case dotSegment
  /// A percent sign without two hexadecimal digits.
  case escapeMalformed
  /// `%2F %5C %25 %7F %00–%1F`, or the escape of an unreserved byte, which needs none (RFC 3986 §2.3).
  case escapeForbidden
  /// Escapes whose bytes are not UTF-8: overlong, a surrogate, beyond U+10FFFF, or truncated (RFC 3629 §3).
  case escapeNotUTF8
  /// `\`, `;` or a byte outside 0x21...0x7e.
  case byteForbidden
}

/// Checks that every server reads a path in the same way; escapes not listed in `PathFault` (`%40`) are valid.
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
      index = try endOfEscapes(bytes, index..<path.upperBound) - 1
    case UInt8(ascii: "\\"), UInt8(ascii: ";"): throw .byteForbidden
    case let byte: guard byte.isVisible else { throw .byteForbidden }
    }
    index += 1
  }
  if segmentStart < path.upperBound { try checkSegment(bytes, segmentStart..<path.upperBound) }
}

/// The index of the first byte of `range` that is not a letter, a digit, `-` or `.`; its end if there is none.
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

/// The end of the escapes of the one character at the start of `range`.
private func endOfEscapes(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(PathFault) -> Int {
  guard let byte = percentDecoded(bytes, range.lowerBound + 1..<range.upperBound) else { throw .escapeMalformed }
  let end = range.lowerBound + 3
  switch byte {
  case 0...0x1f, 0x7f, UInt8(ascii: "/"), UInt8(ascii: "\\"), UInt8(ascii: "%"): throw .escapeForbidden
  case 0x20..<0x7f:
    guard !ByteSet.unreserved.contains(byte) else { throw .escapeForbidden }
    return end
  default: return try endOfSequence(bytes, from: byte, end..<range.upperBound)
  }
}

/// The end of a UTF-8 sequence whose first byte is `lead` and whose other bytes are escapes at the start of `rest`
/// (RFC 3629 §4).
private func endOfSequence(_ bytes: Span<UInt8>, from lead: UInt8, _ rest: Range<Int>) throws(PathFault) -> Int {
  let (count, second): (Int, ClosedRange<UInt8>)
  switch lead {
  case 0xc2...0xdf: (count, second) = (1, 0x80...0xbf)
  case 0xe0: (count, second) = (2, 0xa0...0xbf)
  case 0xe1...0xec, 0xee...0xef: (count, second) = (2, 0x80...0xbf)
  case 0xed: (count, second) = (2, 0x80...0x9f)
  case 0xf0: (count, second) = (3, 0x90...0xbf)
  case 0xf1...0xf3: (count, second) = (3, 0x80...0xbf)
  case 0xf4: (count, second) = (3, 0x80...0x8f)
  default: throw .escapeNotUTF8
  }
  var index = rest.lowerBound
  for position in 0..<count {
    guard index < rest.upperBound, bytes[index] == UInt8(ascii: "%"),
      let byte = percentDecoded(bytes, index + 1..<rest.upperBound),
      position == 0 ? second.contains(byte) : byte & 0xc0 == 0x80
    else { throw .escapeNotUTF8 }
    index += 3
  }
  return index
}

/// The byte encoded by the two hexadecimal digits at the start of `rest`; nil if they are not digits.
func percentDecoded(_ bytes: Span<UInt8>, _ rest: Range<Int>) -> UInt8? {
  guard rest.count >= 2, let high = bytes[rest.lowerBound].hexValue, let low = bytes[rest.lowerBound + 1].hexValue
  else { return nil }
  return high << 4 | low
}
