import Reactor

extension ByteBuffer {
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
      let length = JSONText.sequenceLength(text, at: index)
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
