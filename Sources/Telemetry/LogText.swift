import Reactor

extension ByteBuffer {
  /// A member of a JSON object whose value is a text; an empty one is left out.
  ///
  /// - Parameter name: with what stands before it, as `,"peer":`. Inlined, it is a few moves.
  @inline(__always)
  func append(_ name: StaticString, _ text: Span<UInt8>) {
    guard !text.isEmpty else { return }
    append(name)
    append(json: text)
  }

  /// Any bytes as a JSON string (RFC 8259 §7).
  ///
  /// Bytes that are no UTF-8 are written as `\u00XX`, so the line stays readable and the byte stays known.
  @inline(never)
  func append(json text: Span<UInt8>) {
    append("\"")
    var index = append(plainBeginningOf: text)
    while index < text.count {
      let byte = text[index]
      let length = sequenceLength(text, at: index)
      if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
        append("\\")
        append(byte)
      } else if length > 0 {
        append(text, index..<index + length)
      } else {
        append(#"\u00"#)
        append(hex: UInt64(byte), digits: 2)
      }
      index += max(length, 1)
      index += append(plainBeginningOf: text.extracting(index..<text.count))
    }
    append("\"")
  }
}

/// Length of the well-formed sequence of two to four bytes at `index`, or 0 (Unicode 15, table 3-7).
private func sequenceLength(_ text: Span<UInt8>, at index: Int) -> Int {
  let length: Int
  let second: ClosedRange<UInt8>
  switch text[index] {
  case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
  case 0xE0: (length, second) = (3, 0xA0...0xBF)
  case 0xE1...0xEC, 0xEE...0xEF: (length, second) = (3, 0x80...0xBF)
  case 0xED: (length, second) = (3, 0x80...0x9F)
  case 0xF0: (length, second) = (4, 0x90...0xBF)
  case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
  case 0xF4: (length, second) = (4, 0x80...0x8F)
  default: return 0
  }
  guard index + length <= text.count, second.contains(text[index + 1]) else { return 0 }
  for offset in 2..<max(length, 2) where text[index + offset] & 0xC0 != 0x80 { return 0 }
  return length
}
