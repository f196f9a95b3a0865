import Reactor

extension ByteBuffer {
  /// A member of a JSON object whose value is a text; an empty one is left out.
  ///
  /// - Parameter name: with what stands before it, as `,"peer":`.
  func append(_ name: StaticString, _ text: Span<UInt8>) {
    guard !text.isEmpty else { return }
    append(name)
    append(json: text)
  }

  /// Any bytes as a JSON string (RFC 8259 §7).
  ///
  /// Bytes that are no UTF-8 are written as `\u00XX`, so the line stays readable and the byte stays known.
  func append(json text: Span<UInt8>) {
    append("\"")
    var index = 0
    while index < text.count {
      let plain = plainCount(text, from: index)
      append(text, index..<index + plain)
      index += plain
      guard index < text.count else { break }
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
    }
    append("\"")
  }
}

/// How many bytes from `start` on stand in a JSON string as they are: almost always all of them, so they are looked at
/// eight at a time.
private func plainCount(_ text: Span<UInt8>, from start: Int) -> Int {
  var index = start
  while text.count &- index >= 8, isPlain(text, at: index) { index &+= 8 }
  // The last ones together with some that were looked at already.
  if index > start, text.count &- index < 8, isPlain(text, at: text.count &- 8) { return text.count - start }
  while index < text.count {
    let byte = text[index]
    guard byte >= 0x20, byte < 0x7f, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") else { break }
    index &+= 1
  }
  return index - start
}

/// Whether none of eight bytes is a control byte, beyond ASCII, a quote or a backslash; "no" may be wrong.
@inline(__always)
private func isPlain(_ text: Span<UInt8>, at index: Int) -> Bool {
  let ones: UInt64 = 0x0101_0101_0101_0101
  let eight = text.extracting(index..<index &+ 8)
  // One load once compiled.
  let low = UInt32(eight[0]) | UInt32(eight[1]) << 8 | UInt32(eight[2]) << 16 | UInt32(eight[3]) << 24
  let high = UInt32(eight[4]) | UInt32(eight[5]) << 8 | UInt32(eight[6]) << 16 | UInt32(eight[7]) << 24
  let word = UInt64(low) | UInt64(high) << 32
  let quotes = (word ^ ones &* UInt64(UInt8(ascii: "\""))) &- ones
  let backslashes = (word ^ ones &* UInt64(UInt8(ascii: "\\"))) &- ones
  return (word | word &+ ones | word &- ones &* 0x20 | quotes | backslashes) & ones &* 0x80 == 0
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
